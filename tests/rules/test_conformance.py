"""What counts as evidence of docs/compatibility.md, and what does not."""

from collections.abc import Iterator
from typing import Any

import pytest
from conformance import NOTES, Evidence, Frame, declared, settings
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent

from antiphon_gateway.realtime import link_events, server_events  # noqa: F401  define subclasses
from antiphon_gateway.realtime.client_events import ClientEvent
from antiphon_gateway.realtime.server_events.base import ServerEvent


def client(kind: str, **fields: Any) -> Frame:
    return "client", {"type": kind, "event_id": "mine", **fields}


def server(kind: str, **fields: Any) -> Frame:
    return "server", {"type": kind, **fields}


def test_every_event_and_field_that_the_sdk_declares_is_a_row() -> None:
    events = declared(RealtimeClientEvent) | declared(RealtimeServerEvent)
    assert len(events) > 50
    assert "response.usage.total_tokens" in events["response.done"]
    assert {"tool_choice", "tool_choice.name", "audio.output.speed"} <= set(settings())


def test_an_event_counts_once_it_is_answered_and_not_when_it_is_refused() -> None:
    update = client("session.update", session={"audio": {"output": {"speed": 9}}})
    refusal = server("error", error={"event_id": "mine", "code": "invalid_value"})
    answer = server("session.updated", session={})
    for frames, counts in (
        ([update], False),
        ([answer, update], False),
        ([update, refusal, answer], False),
        ([update, answer], True),
    ):
        evidence = Evidence()
        evidence.add("scenario", frames)
        assert ("session.update" in evidence.events) is counts
        assert ("session.update session.audio.output.speed" in evidence.fields) is counts


def test_a_field_of_the_server_that_is_null_was_not_seen() -> None:
    evidence = Evidence()
    evidence.add("scenario", [server("response.created", response={"usage": None, "id": "r"})])
    assert "response.created response.id" in evidence.fields
    assert "response.created response.usage" not in evidence.fields


def test_an_effect_counts_only_where_its_setting_was_set() -> None:
    with pytest.raises(AssertionError, match="never set it"):
        Evidence().add("scenario", [server("session.created")], ["audio.output.speed"])
    with pytest.raises(AssertionError, match="no field"):
        Evidence().add("scenario", [server("session.created")], ["audio.output.spede"])


def subclasses(event: type[ServerEvent]) -> Iterator[type[ServerEvent]]:
    for inner in event.__subclasses__():
        yield inner
        yield from subclasses(inner)


def test_every_extension_is_a_row() -> None:
    ours = [*subclasses(ServerEvent), *ClientEvent.__args__]
    tags = {str(event.__struct_config__.tag) for event in ours}
    listed = NOTES["client_extensions"].keys() | NOTES["server_extensions"].keys()
    assert {tag for tag in tags if tag.startswith("antiphon.")} == listed
