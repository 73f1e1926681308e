"""What code of this project never does, read from its syntax tree."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from source_tree import called, calls, files, modules, relative, tree

MAX_LINES = 400
LOOSE_TASKS = frozenset({"asyncio.create_task", "asyncio.ensure_future"})
STREAM_WRITES = frozenset({"sys.stdout.write"})

AWAITED_IN_PLACE = {
    "workers/antiphon_workers/loading.py": {"asyncio.ensure_future"},
    "workers/antiphon_workers/llm/remote.py": {"asyncio.ensure_future"},
}
"""`loading.load` waits for one of two futures and cancels the other before it returns;
`remote.with_ticks` waits for one with a time limit and cancels it before it ends. No task group can
stand around the `yield` of a generator."""


def print_calls(module: ast.AST) -> list[int]:
    return [call.lineno for call in calls(module) if called(call) in {"print", *STREAM_WRITES}]


def loose_tasks(module: ast.AST) -> set[str]:
    """Return the ways in which a module starts tasks that no task group owns."""
    return {name for call in calls(module) if (name := called(call)) in LOOSE_TASKS} | {
        name
        for call in calls(module)
        if (name := called(call)).endswith("create_task") and "loop" in name.lower()
    }


def swallowed_cancellations(module: ast.AST) -> Iterator[int]:
    """Yield the lines of handlers that catch CancelledError and do not raise it again."""
    for node in ast.walk(module):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            names = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)}
            names |= {name.attr for name in ast.walk(node.type) if isinstance(name, ast.Attribute)}
            raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            if "CancelledError" in names and not raises:
                yield node.lineno


def test_only_the_command_line_and_entry_points_print() -> None:
    printing = {
        relative(path)
        for path in modules("proto", "gateway", "workers")
        if path.name != "__main__.py" and print_calls(tree(path))
    }
    assert printing == set()


def test_logging_is_configured_in_one_place() -> None:
    configuring = {
        relative(path)
        for path in modules()
        if any(called(call).endswith("basicConfig") for call in calls(tree(path)))
    }
    assert configuring == {"proto/antiphon_proto/log.py"}


def test_every_task_belongs_to_a_task_group() -> None:
    found = {relative(path): loose_tasks(tree(path)) for path in modules()}
    assert {place: names for place, names in found.items() if names} == AWAITED_IN_PLACE


def test_cancellation_is_never_swallowed() -> None:
    found = {relative(path): list(swallowed_cancellations(tree(path))) for path in modules()}
    assert {place: lines for place, lines in found.items() if lines} == {}


def test_the_page_shows_text_as_text_only() -> None:
    found = {relative(path): parsed_as_markup(path.read_text("utf-8")) for path in files(".js")}
    assert {place: names for place, names in found.items() if names} == {}


def parsed_as_markup(source: str) -> list[str]:
    """Return the ways in which a script turns text into elements or code."""
    return re.findall(
        r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b", source
    )


def test_text_that_becomes_markup_is_found() -> None:
    assert parsed_as_markup("line.innerHTML = words;") == ["innerHTML"]


def lines_in(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_longer_than_the_limit() -> None:
    long = {relative(path): lines_in(path) for path in files(".py", ".js", ".css")}
    assert {place: count for place, count in long.items() if count > MAX_LINES} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nasyncio.create_task(work())",
        "asyncio.get_running_loop().create_task(work())",
        "self._loop.create_task(work())",
    ],
)
def test_a_loose_task_is_found(source: str) -> None:
    assert loose_tasks(ast.parse(source))


def test_a_task_of_a_group_is_no_loose_task() -> None:
    assert loose_tasks(ast.parse("group.create_task(work(), name='work')")) == set()


def test_a_print_is_found() -> None:
    assert print_calls(ast.parse("print('hello')")) == [1]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("try:\n    pass\nexcept asyncio.CancelledError:\n    pass", [3]),
        ("try:\n    pass\nexcept (OSError, CancelledError):\n    pass", [3]),
        ("try:\n    pass\nexcept asyncio.CancelledError:\n    raise", []),
    ],
)
def test_a_swallowed_cancellation_is_found(source: str, found: list[int]) -> None:
    assert list(swallowed_cancellations(ast.parse(source))) == found
