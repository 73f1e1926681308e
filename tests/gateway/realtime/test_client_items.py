"""Items from clients: ids, roles, and audio that is never kept."""

import json
from typing import Any

import msgspec
import pytest

from antiphon_gateway.realtime.client_events import ItemCreate, decode
from antiphon_gateway.realtime.client_items import ClientItem, accept, spoken_parts
from antiphon_gateway.realtime.errors import InvalidEvent


def sent(item: dict[str, Any]) -> ClientItem:
    event = decode(json.dumps({"type": "conversation.item.create", "item": item}))
    assert isinstance(event, ItemCreate)
    return event.item


def kept(item: dict[str, Any]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(accept(sent(item))))


def message(role: str, *content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(content), **fields}


def test_a_message_keeps_its_id_and_becomes_complete() -> None:
    text = {"type": "input_text", "text": "Hello"}
    assert kept(message("user", text, id="mine")) == {
        "id": "mine",
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [text],
    }


def test_an_item_without_an_id_gets_a_fresh_one() -> None:
    ids = {kept(message("user"))["id"] for _ in range(10)}
    assert len(ids) == 10
    assert all(item_id.startswith("item_") for item_id in ids)


@pytest.mark.parametrize(
    ("part", "transcript"),
    [
        ({"type": "input_audio", "audio": "AAAA"}, None),
        ({"type": "input_audio", "audio": None, "transcript": "hi"}, "hi"),
        ({"type": "input_audio", "audio": "AAAA", "transcript": None}, None),
        ({"type": "input_audio"}, None),
    ],
)
def test_user_speech_always_has_a_transcript_key_and_never_audio(
    part: dict[str, Any], transcript: str | None
) -> None:
    assert kept(message("user", part))["content"] == [
        {"type": "input_audio", "transcript": transcript}
    ]


def test_assistant_history_keeps_its_text_without_its_audio() -> None:
    spoken = {"type": "output_audio", "audio": "AAAA", "transcript": "Hello"}
    silent = {"type": "output_audio", "transcript": None}
    written = {"type": "output_text", "text": "Hi"}
    assert kept(message("assistant", spoken, silent, written))["content"] == [
        {"type": "output_audio", "transcript": "Hello"},
        {"type": "output_audio", "transcript": ""},
        {"type": "output_text", "text": "Hi"},
    ]


def test_function_calls_and_their_outputs_are_kept() -> None:
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c", "id": "i"}
    output = {"type": "function_call_output", "call_id": "c", "output": "1", "id": "j"}
    ours = {"object": "realtime.item", "status": "completed"}
    assert kept(call) == {**call, **ours}
    assert kept(output) == {**output, **ours}
    call.pop("call_id")
    assert kept(call)["call_id"].startswith("call_")


def test_only_audio_without_a_transcript_is_left_to_transcribe() -> None:
    item = message(
        "user",
        {"type": "input_text", "text": "Listen:"},
        {"type": "input_audio", "audio": "AAEC"},
        {"type": "input_audio", "audio": "AAEC", "transcript": "one"},
        {"type": "input_audio"},
    )
    assert [(part.content_index, part.audio) for part in spoken_parts(sent(item), "it")] == [
        (1, b"\x00\x01\x02")
    ]
    assert spoken_parts(sent({"type": "function_call", "name": "f", "arguments": ""}), "it") == ()


@pytest.mark.parametrize(
    ("role", "kind"),
    [
        ("user", "output_text"),
        ("user", "output_audio"),
        ("assistant", "input_text"),
        ("assistant", "input_audio"),
        ("system", "input_audio"),
        ("system", "output_text"),
    ],
)
def test_content_that_does_not_fit_the_role_is_refused(role: str, kind: str) -> None:
    item = sent(message(role, {"type": kind, "text": "x"}))
    with pytest.raises(InvalidEvent, match=f"{kind} is no content of a {role} message") as refusal:
        accept(item)
    assert refusal.value.param == "item.content[0].type"
    assert refusal.value.code == "invalid_value"


@pytest.mark.parametrize(
    ("item", "param", "limit"),
    [
        (message("user", id="i" * 65), "item.id", "64"),
        (message("user", id=""), "item.id", "1"),
        (
            message("user", {"type": "input_text", "text": "x" * 65_537}),
            "item.content[0].text",
            "65536",
        ),
        (message("user", *[{"type": "input_text", "text": ""}] * 65), "item.content", "64"),
        (message("user", {"type": "input_audio", "audio": "A"}), "item.content[0].audio", "base64"),
    ],
)
def test_items_over_a_limit_are_refused_by_field(
    item: dict[str, Any], param: str, limit: str
) -> None:
    with pytest.raises(InvalidEvent, match=limit) as refusal:
        sent(item)
    assert refusal.value.param == param
