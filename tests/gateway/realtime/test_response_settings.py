"""What `response.create` may override, for one response only."""

from typing import Any

import pytest

from antiphon_gateway.realtime import catalogue
from antiphon_gateway.realtime.audio_formats import Pcm, Pcmu
from antiphon_gateway.realtime.client_items import ItemReference
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.items import InputAudio, InputText, MessageItem
from antiphon_gateway.realtime.response_settings import (
    ResponseSettings,
    merge_response,
    response_object,
    with_transcript,
)
from antiphon_gateway.realtime.session_settings import FunctionTool, default_session
from antiphon_proto.config import Config

CATALOGUE = catalogue.from_config(Config())
SESSION = default_session(Config(), CATALOGUE)


def merged(payload: dict[str, Any] | None) -> ResponseSettings:
    return merge_response(SESSION, payload, CATALOGUE)


@pytest.mark.parametrize("payload", [None, {}, {"later": 1}, {"audio": {}}])
def test_without_overrides_the_session_counts(payload: dict[str, Any] | None) -> None:
    assert merged(payload) == ResponseSettings(
        instructions=SESSION.instructions,
        output_modalities=("audio",),
        max_output_tokens="inf",
        tools=(),
        tool_choice="auto",
        voice="en_US-joe-medium",
        format=Pcm(),
        speed=1.0,
    )


def test_every_override_counts() -> None:
    settings = merged(
        {
            "instructions": "Sing.",
            "output_modalities": ["text"],
            "max_output_tokens": 10,
            "tools": [{"type": "function", "name": "f"}],
            "tool_choice": "required",
            "audio": {"output": {"voice": {"id": "ash"}, "format": {"type": "audio/pcmu"}}},
            "metadata": {"topic": "song"},
            "conversation": "none",
            "input": [
                {"type": "item_reference", "id": "item_1"},
                {
                    "type": "message",
                    "id": "mine",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "Hello"}],
                },
            ],
        }
    )
    assert settings == ResponseSettings(
        instructions="Sing.",
        output_modalities=("text",),
        max_output_tokens=10,
        tools=(FunctionTool(name="f"),),
        tool_choice="required",
        voice="en_US-joe-medium",
        format=Pcmu(),
        speed=1.0,
        metadata={"topic": "song"},
        conversation="none",
        input=(
            ItemReference(id="item_1"),
            MessageItem(id="mine", role="user", content=(InputText(text="Hello"),)),
        ),
    )


def test_empty_overrides_clear() -> None:
    settings = merged({"instructions": "", "tools": [], "input": [], "metadata": None})
    assert (settings.instructions, settings.tools, settings.input) == ("", (), ())


def test_the_response_object_shows_its_settings() -> None:
    settings = merged({"max_output_tokens": 10, "metadata": {"a": "b"}})
    response = response_object("resp_1", settings, "conv_1")
    assert (response.id, response.status, response.conversation_id) == (
        "resp_1",
        "in_progress",
        "conv_1",
    )
    assert (response.max_output_tokens, response.metadata) == (10, {"a": "b"})


def message(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"input": [{"type": "message", "role": role, "content": list(parts)}]}


@pytest.mark.parametrize(
    ("payload", "code", "param", "text"),
    [
        ({"instructions": None}, "invalid_value", "response.instructions", "`str"),
        ({"max_output_tokens": 0}, "invalid_value", "response.max_output_tokens", ">= 1"),
        ({"conversation": "x"}, "invalid_value", "response.conversation", "auto, none"),
        ({"metadata": {"a" * 65: ""}}, "invalid_value", "response.metadata", "<= 64"),
        ({"metadata": {"a": "b" * 513}}, "invalid_value", "response.metadata", "<= 512"),
        (
            {"metadata": {str(n): "" for n in range(17)}},
            "invalid_value",
            "response.metadata",
            "<= 16",
        ),
        (
            {"audio": {"output": {"format": {"type": "x"}}}},
            "invalid_value",
            "response.audio.output.format.type",
            "audio/pcmu",
        ),
        ({"audio": {"output": 1}}, "invalid_value", "response.audio.output", "object"),
        ({"input": [{"type": "x"}]}, "invalid_value", "response.input[0].type", "item_reference"),
        (
            message("assistant", {"type": "input_text", "text": "x"}),
            "invalid_value",
            "response.input[0].content[0].type",
            "output_text",
        ),
        ({"tools": [{"name": "f", "parameters": {"a": 2**64}}]}, "invalid_value", "response", "64"),
    ],
)
def test_bad_overrides_are_refused_by_name(
    payload: dict[str, Any], code: str, param: str, text: str
) -> None:
    with pytest.raises(InvalidEvent) as refusal:
        merged(payload)
    assert (refusal.value.code, refusal.value.param) == (code, param)
    assert text in refusal.value.message


def test_speech_in_the_input_is_told_with_its_place() -> None:
    text, speech = {"type": "input_text", "text": "x"}, {"type": "input_audio", "audio": "AAAA"}
    known = {**speech, "transcript": "Known."}
    settings = merged({"input": message("user", text, known, speech)["input"] * 2})
    assert [(part.content_index, part.path) for part in settings.spoken_input] == [
        (2, "response.input[0].content[2].audio"),
        (2, "response.input[1].content[2].audio"),
    ]
    first, second = settings.input or ()
    assert [part.item_id for part in settings.spoken_input] == [first.id, second.id]
    heard = with_transcript(settings, second.id, 2, "Yes.").input or ()
    assert heard[0] == first
    assert isinstance(heard[1], MessageItem)
    assert heard[1].content[2] == InputAudio(transcript="Yes.")
