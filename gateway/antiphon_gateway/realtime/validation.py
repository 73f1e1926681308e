"""What msgspec says about a value, told as `InvalidEvent` with field and limit."""

import functools
import re
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from antiphon_gateway.realtime.errors import InvalidEvent

MAX_NESTING = 64
"""Deepest nesting of a free-form JSON value. Encoding recurses, so it must stay far from
Python's own limit."""

_MAX_REASON_CHARS = 200
_PLACE = re.compile(r" - at (?:`(?:key|tag)` in )?`\$(?P<path>[^`]*)`$")
_MISSING = re.compile(r"missing required field `(?P<field>[^`]*)`$")

ValueT = TypeVar("ValueT")


def convert(raw: object, kind: type[ValueT], at: str) -> ValueT:
    """Return decoded JSON as `kind`; `at` is the path of `raw` in the client's event.

    Raises InvalidEvent naming the field and its limit.
    """
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as exc:
        raise explain(exc, kind, at) from exc


def explain(
    exc: msgspec.ValidationError, kind: object, at: str = "", event_id: str | None = None
) -> InvalidEvent:
    """Return the refusal that a validation error of `kind` amounts to."""
    text = str(exc)
    place = _PLACE.search(text)
    path = place["path"] if place else ""
    reason = text[: place.start()] if place else text
    allowed = _allowed(kind, path) if reason.startswith("Invalid") else ()
    param = f"{at}{path}".partition("[...]")[0].lstrip(".") or None
    if missing := _MISSING.search(reason):
        param = f"{param}.{missing['field']}" if param else missing["field"]
        return InvalidEvent("missing_field", f"{param} is missing", param=param, event_id=event_id)
    reason = _shorten(reason[:1].lower() + reason[1:])
    if allowed:
        reason += f"; allowed: {', '.join(allowed)}"
    return InvalidEvent(
        "invalid_value", f"{param or 'event'}: {reason}", param=param, event_id=event_id
    )


def check_free_form(value: object, at: str) -> None:
    """Refuse JSON that can be decoded but not encoded again.

    Raises InvalidEvent when it is nested deeper than `MAX_NESTING` levels or holds an integer of
    more than 64 bits.
    """
    level = [value]
    for _ in range(MAX_NESTING):
        if any(isinstance(node, int) and not -(2**63) <= node < 2**64 for node in level):
            raise InvalidEvent("invalid_value", f"{at} has an integer over 64 bits", param=at)
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise InvalidEvent(
        "invalid_value", f"{at} is nested deeper than {MAX_NESTING} levels", param=at
    )


def _children(node: object) -> list[Any]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []


def _shorten(text: str) -> str:
    if len(text) <= _MAX_REASON_CHARS:
        return text
    return f"{text[:_MAX_REASON_CHARS]}..."


def _allowed(kind: object, path: str) -> tuple[str, ...]:
    """Return the values that an enumerated field at `path` may have, if it is one."""
    types = [_type_info(kind)]
    steps = re.findall(r"\[[^\]]*\]|[^.\[]+", path)
    for step in steps:
        types = [inner for outer in types for inner in _members(outer, step)]
    values: list[str] = []
    for each in types:
        for leaf in _flatten(each):
            if isinstance(leaf, inspect.LiteralType):
                values += [str(value) for value in leaf.values]
    return tuple(dict.fromkeys(values))


@functools.cache
def _type_info(kind: object) -> inspect.Type:
    return inspect.type_info(kind)


def _flatten(kind: inspect.Type) -> list[inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        return _flatten(kind.type)
    if isinstance(kind, inspect.UnionType):
        return [leaf for member in kind.types for leaf in _flatten(member)]
    return [kind]


def _members(kind: inspect.Type, step: str) -> list[inspect.Type]:
    """Return the types found one path step inside `kind`."""
    found: list[inspect.Type] = []
    for each in _flatten(kind):
        if isinstance(each, inspect.StructType):
            if step == each.tag_field:
                found.append(inspect.LiteralType((each.tag,)))
            found += [field.type for field in each.fields if field.encode_name == step]
        elif isinstance(each, inspect.VarTupleType | inspect.ListType):
            found.append(each.item_type)
        elif isinstance(each, inspect.TupleType):
            found += each.item_types
    return found
