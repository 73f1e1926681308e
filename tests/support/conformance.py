"""What of the Realtime API was seen to work, and the tables of docs/compatibility.md made of it.

The rows are what the package `openai` declares, so none can be left out. The evidence is what the
scenarios of `tests/integration/test_conformance.py` saw, and nothing else.
"""

import re
import tomllib
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from openai.types.realtime import (
    RealtimeClientEvent,
    RealtimeServerEvent,
    RealtimeSessionCreateRequest,
)
from pydantic import BaseModel

Frame = tuple[str, dict[str, Any]]
"""Who sent it, `client` or `server`, and the event."""

TABLE = Path(__file__).parents[2] / "docs" / "compatibility.md"
NOTES: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("conformance_notes.toml").read_text("utf-8")
)
ANSWERS = {
    "session.update": "session.updated",
    "input_audio_buffer.append": "input_audio_buffer.committed",
    "input_audio_buffer.commit": "input_audio_buffer.committed",
    "input_audio_buffer.clear": "input_audio_buffer.cleared",
    "response.create": "response.created",
    "response.cancel": "response.done",
    "conversation.item.create": "conversation.item.done",
    "conversation.item.retrieve": "conversation.item.retrieved",
    "conversation.item.truncate": "conversation.item.truncated",
    "conversation.item.delete": "conversation.item.deleted",
    "output_audio_buffer.clear": "output_audio_buffer.cleared",
}
"""What tells the client that its event was carried out."""
_SECTION = re.compile(r"(<!-- begin (client|server|fields) -->\n).*?(<!-- end -->)", re.DOTALL)
_BY_CHANCE = {
    "antiphon.duck",
    "antiphon.transcript.partial",
    "conversation.item.deleted",
    "conversation.item.input_audio_transcription.delta",
}
"""Events that may come in any spoken turn: they count where a scenario waits for them."""
_EVERYWHERE = {"type", "event_id"}
_NOT_SERVED = ("Mcp", "ResponsePrompt")
"""Models of parts that are not served at all; one note in the document says so."""


# --- what there is -----------------------------------------------------------------------------


def declared(union: object) -> dict[str, set[str]]:
    """Return, for each event of a union of the package, the paths of its fields."""
    members = typing.get_args(typing.get_args(union)[0])
    return {
        typing.get_args(member.model_fields["type"].annotation)[0]: {
            path
            for path in _paths(member)
            if path not in _EVERYWHERE and not path.startswith("session.")
        }
        for member in members
    }


def settings() -> list[str]:
    """Return the paths of the fields of a session; one that may be null stands for that too."""
    paths = {path for path in _paths(RealtimeSessionCreateRequest) if path != "type"}
    return sorted({*paths, "audio.input.turn_detection", "audio.input.transcription"})


def _paths(model: type[BaseModel], before: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        path = before + name
        inner = list(_models(field.annotation))
        for suffix, nested in inner:
            if not nested.__name__.startswith(_NOT_SERVED) and "Mcp" not in nested.__name__:
                yield from _paths(nested, f"{path}{suffix}.")
        if not inner or _is_also_plain(field.annotation):
            yield path


def _models(annotation: Any, suffix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        yield from _models(inner[0], suffix)
    elif origin in (typing.Union, types.UnionType):
        for one in inner:
            yield from _models(one, suffix)
    elif origin is list:
        yield from _models(inner[0], "[]")
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield suffix, annotation


def _is_also_plain(annotation: Any) -> bool:
    """Whether the field may also be a text or a number, as `tool_choice` may."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _is_also_plain(inner[0])
    if origin in (typing.Union, types.UnionType):
        return any(_is_also_plain(one) for one in inner if one is not type(None))
    return origin is typing.Literal or annotation in (str, int, float, bool)


# --- what was seen -----------------------------------------------------------------------------


class Evidence:
    """Which scenarios saw which event, field and effect."""

    def __init__(self) -> None:
        self.events: dict[str, set[str]] = {}
        self.fields: dict[str, set[str]] = {}
        """Of the paths `event field`."""
        self.effects: dict[str, set[str]] = {}
        """Of the settings."""

    def add(
        self,
        scenario: str,
        frames: Sequence[Frame],
        effects: Sequence[str] = (),
        awaited: Collection[str] = (),
    ) -> None:
        """Take what crossed one connection, in order. Fails when an effect's setting did not."""
        set_here: set[str] = set()
        for place, (sender, event) in enumerate(frames):
            kind = event["type"]
            if sender == "client" and not carried_out(frames, place):
                continue
            if kind in _BY_CHANCE and kind not in awaited:
                continue
            self.events.setdefault(kind, set()).add(scenario)
            for path in leaves(event, keep_null=sender == "client"):
                self.fields.setdefault(f"{kind} {path}", set()).add(scenario)
                if kind == "session.update":
                    set_here.add(path.removeprefix("session."))
        for setting in effects:
            assert setting in settings(), f"{setting} is no field of a session"
            assert setting in set_here, f"{scenario} says what {setting} does and never set it"
            self.effects.setdefault(setting, set()).add(scenario)


def carried_out(frames: Sequence[Frame], place: int) -> bool:
    """Whether an event of the client was answered as carried out, and not refused."""
    event = frames[place][1]
    later = [one for sender, one in frames[place + 1 :] if sender == "server"]
    refused = {one["error"]["event_id"] for one in later if one["type"] == "error"}
    wanted = ANSWERS.get(event["type"])
    answered = wanted is None or any(one["type"] == wanted for one in later)
    return answered and event.get("event_id") not in refused - {None}


def leaves(value: Any, path: str = "", *, keep_null: bool) -> Iterator[str]:
    """Return the paths of the values of an event, and of what holds them."""
    if path and (value is not None or keep_null):
        yield path
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name, keep_null=keep_null)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, f"{path}[]", keep_null=keep_null)


# --- the tables --------------------------------------------------------------------------------


def render(text: str, seen: Evidence) -> str:
    """Return the document with its tables as they follow from the evidence."""
    tables = {
        "client": _events(declared(RealtimeClientEvent), seen, "client"),
        "server": _events(declared(RealtimeServerEvent), seen, "server"),
        "fields": _settings(seen),
    }
    return _SECTION.sub(lambda found: found[1] + tables[found[2]] + found[3], text)


def _events(events: Mapping[str, set[str]], seen: Evidence, side: str) -> str:
    lines = ["| event | | fields not seen | note | scenarios |", "|---|---|---|---|---|"]
    for kind, fields in events.items():
        evidence = seen.events.get(kind, set())
        missing = sorted(path for path in fields if f"{kind} {path}" not in seen.fields)
        unseen = ", ".join(f"`{path}`" for path in missing) if evidence else ""
        lines.append(_row(kind, _state(kind, evidence), unseen, _note(kind), _names(evidence)))
    for kind, note in NOTES[f"{side}_extensions"].items():
        evidence = seen.events.get(kind, set())
        lines.append(_row(kind, "extension", "", note, _names(evidence)))
    return "\n".join(lines) + "\n"


def _settings(seen: Evidence) -> str:
    lines = ["| field | | note | scenarios |", "|---|---|---|---|"]
    for path in settings():
        accepted = seen.fields.get(f"session.update session.{path}", set())
        effects = seen.effects.get(path, set())
        state = _state(path, effects) if effects else "accepted" if accepted else "not yet"
        lines.append(_row(f"session.{path}", state, _note(path), _names(effects or accepted)))
    return "\n".join(lines) + "\n"


def _state(name: str, evidence: set[str]) -> str:
    if not evidence:
        return "not yet"
    return "partly" if name in NOTES["limits"] else "yes"


def _note(name: str) -> str:
    return str(NOTES["limits"].get(name) or NOTES["notes"].get(name, ""))


def _names(scenarios: set[str]) -> str:
    shown = sorted(scenarios)[:2]
    return ", ".join(name.replace("_", " ") for name in shown)


def _row(name: str, *cells: str) -> str:
    return f"| `{name}` | " + " | ".join(cells) + " |"
