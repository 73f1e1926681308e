"""The table of docs/compatibility.md is complete and says what the tests are."""

import typing

from conformance import TABLE, render, rows
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent

EVERY_ROW = rows(TABLE.read_text(encoding="utf-8"))


def declared(union: object) -> set[str]:
    """Return the types of the events of a union of the `openai` package."""
    members = typing.get_args(typing.get_args(union)[0])
    return {typing.get_args(member.model_fields["type"].annotation)[0] for member in members}


def test_the_table_names_only_tests_that_there_are() -> None:
    now = dict(_claims(render(TABLE.read_text(encoding="utf-8"))))
    gone = {
        event: tests - now[event] for event, tests in _claims(TABLE.read_text(encoding="utf-8"))
    }
    assert {event: tests for event, tests in gone.items() if tests} == {}, (
        "run: .venv/bin/python tests/support/conformance.py"
    )


def test_every_event_that_the_sdk_declares_is_in_the_table() -> None:
    listed = {name for names, _, _ in EVERY_ROW for name in names}
    families = tuple(name[:-1] for name in listed if name.endswith("*"))
    events = declared(RealtimeClientEvent) | declared(RealtimeServerEvent)
    assert len(events) > 50
    assert {name for name in events - listed if not name.startswith(families)} == set()


def test_what_is_said_to_work_is_named_by_a_test() -> None:
    claimed = [(names, tests) for names, state, tests in EVERY_ROW if state in ("yes", "partly")]
    assert len(claimed) > 30
    assert [names for names, tests in claimed if not tests] == []


def _claims(text: str) -> list[tuple[str, set[str]]]:
    return [(names[0], set(tests.split(", ")) - {""}) for names, _, tests in rows(text)]
