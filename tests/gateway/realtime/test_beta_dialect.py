"""The beta form of the protocol, by its frames: names, contents and flat settings, both ways."""

from typing import Any

import msgspec
import pytest

from antiphon_gateway.realtime import beta_dialect, catalogue
from antiphon_gateway.realtime.session_settings import default_session, merge
from antiphon_proto.config import Config

CATALOGUE = catalogue.from_config(Config())
SESSION = default_session(Config(), CATALOGUE)


def sent(event: dict[str, Any]) -> dict[str, Any] | None:
    text = beta_dialect.to_client(msgspec.json.encode(event).decode())
    return None if text is None else msgspec.json.decode(text)


def received(event: dict[str, Any]) -> dict[str, Any]:
    text = beta_dialect.from_client(msgspec.json.encode(event).decode())
    return msgspec.json.decode(text)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("ours", "beta"),
    [
        ("response.output_audio.delta", "response.audio.delta"),
        ("response.output_audio.done", "response.audio.done"),
        ("response.output_audio_transcript.delta", "response.audio_transcript.delta"),
        ("response.output_audio_transcript.done", "response.audio_transcript.done"),
        ("response.output_text.delta", "response.text.delta"),
        ("response.output_text.done", "response.text.done"),
        ("conversation.item.added", "conversation.item.created"),
        ("input_audio_buffer.committed", "input_audio_buffer.committed"),
    ],
)
def test_events_are_renamed(ours: str, beta: str) -> None:
    assert sent({"type": ours, "delta": "x"}) == {"type": beta, "delta": "x"}


def test_an_item_is_told_once() -> None:
    assert sent({"type": "conversation.item.done", "item": {}}) is None


def test_contents_are_renamed_in_items_and_responses() -> None:
    item = {"id": "i", "content": [{"type": "output_audio", "transcript": "Hi."}]}
    beta = {"id": "i", "content": [{"type": "audio", "transcript": "Hi."}]}
    assert sent({"type": "response.output_item.done", "item": item}) == {
        "type": "response.output_item.done",
        "item": beta,
    }
    output = {"output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "amy"}}
    done = {"output": [item], "output_modalities": ["audio"], "audio": output}
    assert sent({"type": "response.done", "response": done}) == {
        "type": "response.done",
        "response": {
            "output": [beta],
            "modalities": ["text", "audio"],
            "voice": "amy",
            "output_audio_format": "pcm16",
        },
    }


def test_the_session_is_flat_and_comes_back_the_same() -> None:
    told = sent({"type": "session.created", "session": SESSION.to_json("s")})
    assert told is not None
    flat = told["session"]
    assert not {"audio", "type", "output_modalities", "max_output_tokens"} & flat.keys()
    assert flat["input_audio_format"] == flat["output_audio_format"] == "pcm16"
    assert flat["modalities"] == ["text", "audio"]
    assert flat["max_response_output_tokens"] == "inf"
    assert flat["turn_detection"]["type"] == "semantic_vad"
    back = received({"type": "session.update", "session": flat})
    assert merge(SESSION, back["session"], CATALOGUE) == SESSION


def test_a_flat_update_changes_what_it_names() -> None:
    update = received(
        {
            "type": "session.update",
            "session": {
                "modalities": ["text"],
                "input_audio_format": "g711_ulaw",
                "turn_detection": None,
                "input_audio_transcription": {"model": "whisper-1", "language": "de"},
                "temperature": 0.8,
                "max_response_output_tokens": 100,
            },
        }
    )
    session = merge(SESSION, update["session"], CATALOGUE).to_json("s")
    assert session["output_modalities"] == ["text"]
    assert session["max_output_tokens"] == 100
    assert session["audio"]["input"]["format"] == {"type": "audio/pcmu"}
    assert session["audio"]["input"]["turn_detection"] is None
    assert session["audio"]["input"]["transcription"]["language"] == "de"
    assert session["audio"]["output"] == SESSION.to_json("s")["audio"]["output"]


def test_items_and_responses_of_the_client_are_translated() -> None:
    said = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi."}]}
    item = received({"type": "conversation.item.create", "item": said})["item"]
    assert item["content"] == [{"type": "output_text", "text": "Hi."}]
    wanted = {"modalities": ["audio", "text"], "voice": "amy", "input": [said]}
    assert received({"type": "response.create", "response": wanted})["response"] == {
        "output_modalities": ["audio"],
        "audio": {"output": {"voice": "amy"}},
        "input": [item],
    }


@pytest.mark.parametrize("text", ["", "no json", "[1]", '"x"', "7", "[" * 5_000, '{"session": 7}'])
def test_what_is_no_event_is_left_to_the_checks(text: str) -> None:
    assert beta_dialect.from_client(text).replace(":7", ": 7") == text


@pytest.mark.parametrize(
    ("header", "offered", "wanted"),
    [
        ("realtime=v1", (), True),
        ("", ("realtime", beta_dialect.SUBPROTOCOL), True),
        ("assistants=v2", ("realtime",), False),
        ("", (), False),
    ],
)
def test_it_is_spoken_only_when_asked_for(
    header: str, offered: tuple[str, ...], wanted: bool
) -> None:
    assert beta_dialect.is_wanted(header, offered) is wanted
