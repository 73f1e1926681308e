"""Every field that our code logs is on the list of allowed ones, or it would be left out."""

import ast
from collections.abc import Iterator

import pytest
from source_tree import modules, relative, tree

from antiphon_gateway import effects
from antiphon_gateway.turn_timings import STEPS
from antiphon_proto.log import FIELDS

SPREAD = (effects.NoteRetraction, effects.NoteTurnEnd)
"""Whose fields are logged as they are."""


def keys(literals: Iterator[ast.AST]) -> Iterator[str]:
    for literal in literals:
        if isinstance(literal, ast.Dict):
            yield from (key.value for key in literal.keys if isinstance(key, ast.Constant))  # type: ignore[misc]


def logged(module: ast.Module) -> Iterator[str]:
    """Yield the fields in what is given as `extra`, by a dictionary there or by its name."""
    nodes = list(ast.walk(module))
    extras = [
        keyword.value
        for call in nodes
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "extra"
    ]
    named = {node.id for extra in extras for node in ast.walk(extra) if isinstance(node, ast.Name)}
    for extra in extras:
        yield from keys(ast.walk(extra))
    for node in nodes:
        if isinstance(node, ast.Assign):
            targets = {target.id for target in node.targets if isinstance(target, ast.Name)}
            if targets & named:
                yield from keys(iter([node.value]))


def bound(module: ast.Module) -> Iterator[str]:
    """Yield what is bound to the lines of a task."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "log.bind":
            yield from (keyword.arg for keyword in node.keywords if keyword.arg)


def test_what_our_code_logs_is_listed() -> None:
    found = {
        name: relative(path)
        for path in modules()
        for name in (*logged(tree(path)), *bound(tree(path)))
    }
    spread = {name: note.__name__ for note in SPREAD for name in note._fields}
    steps = {f"{step}_ms": "STEPS" for step in STEPS}
    every = {**found, **spread, **steps}
    assert {name: where for name, where in every.items() if name not in FIELDS} == {}
    assert FIELDS - every.keys() == set()


@pytest.mark.parametrize(
    "source",
    [
        'log.info("x", extra={"words": 1})',
        'note = {"words": 1}\nlog.info("x", extra={"a": 1, **note})',
        'note = {"words": 1}\nlog.info("x", extra=note)',
    ],
)
def test_a_field_is_found(source: str) -> None:
    assert "words" in set(logged(ast.parse(source)))
