"""The session object: defaults, merge rules, limits."""

import json
from typing import Any

import msgspec
import pytest

from antiphon_gateway.realtime import catalogue
from antiphon_gateway.realtime.catalogue import Catalogue
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.session_settings import (
    SemanticVad,
    ServerVad,
    Session,
    default_session,
    merge,
)
from antiphon_proto.config import Config, Llm, Stt, Tts

CATALOGUE = catalogue.from_config(Config())
DEFAULT = default_session(Config(), CATALOGUE)
TOOL = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}


def updated(*updates: dict[str, Any]) -> dict[str, Any]:
    """The session object after the updates."""
    return merged(*updates).to_json("sess_1")


def merged(*updates: dict[str, Any]) -> Session:
    session = DEFAULT
    for update in updates:
        session = merge(session, update, CATALOGUE)
    return session


def audio_input(**fields: Any) -> dict[str, Any]:
    return {"type": "realtime", "audio": {"input": fields}}


def audio_output(**fields: Any) -> dict[str, Any]:
    return {"type": "realtime", "audio": {"output": fields}}


def turn_detection(**fields: Any) -> dict[str, Any]:
    return audio_input(turn_detection=fields)


def test_the_default_session_is_complete() -> None:
    assert DEFAULT.to_json("sess_1") == {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_1",
        "model": "smollm2-135m",
        "output_modalities": ["audio"],
        "instructions": Config().llm.instructions,
        "max_output_tokens": "inf",
        "tools": [],
        "tool_choice": "auto",
        "truncation": "auto",
        "tracing": None,
        "prompt": None,
        "include": None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "noise_reduction": None,
                "transcription": {"model": "tiny.en"},
                "turn_detection": {
                    "type": "semantic_vad",
                    "eagerness": "auto",
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "voice": "en_US-joe-medium",
                "speed": 1.0,
            },
        },
    }


def test_configured_language_and_instructions_are_defaults() -> None:
    config = Config(stt=Stt(language="de"), llm=Llm(instructions="Sei freundlich."))
    session = default_session(config, catalogue.from_config(config)).to_json("s")
    assert session["instructions"] == "Sei freundlich."
    assert session["audio"]["input"]["transcription"]["language"] == "de"


def test_clients_see_no_paths_of_the_server() -> None:
    config = Config(
        llm=Llm(model="/models/big-7b.Q4.gguf"),
        stt=Stt(model="someone/whisper-small.en"),
        tts=Tts(model="/voices/amy.onnx"),
    )
    names = catalogue.from_config(config)
    assert (names.model, names.transcription_model) == ("big-7b.Q4", "whisper-small.en")
    assert names.voices == ("amy",)


def test_only_the_given_fields_change() -> None:
    before = DEFAULT.to_json("sess_1")
    after = updated(audio_output(speed=1.25), {"type": "realtime", "instructions": "hi"})
    assert after["audio"]["output"]["speed"] == 1.25
    assert after["instructions"] == "hi"
    after["audio"]["output"]["speed"] = 1.0
    after["instructions"] = before["instructions"]
    assert after == before


def test_an_update_changes_neither_the_old_session_nor_the_clients_object() -> None:
    start = merge(DEFAULT, audio_input(transcription=None), CATALOGUE)
    before = start.to_json("s")
    update = audio_input(transcription={"model": "whisper-1"})
    update["audio"]["output"] = {"voice": "ash"}
    copy = json.loads(json.dumps(update))
    merge(start, update, CATALOGUE)
    assert (start.to_json("s"), update) == (before, copy)


@pytest.mark.parametrize("tracing", [None, "auto", {"workflow_name": "w"}])
def test_tracing_alone_is_accepted_and_echoed(tracing: object) -> None:
    assert updated({"type": "realtime", "tracing": tracing})["tracing"] == tracing


def test_the_type_may_be_left_out_and_unknown_fields_are_ignored() -> None:
    session = updated({"instructions": "hi", "later": 1, "audio": {"later": 1}})
    assert session["instructions"] == "hi"
    assert "later" not in session
    assert "later" not in session["audio"]


@pytest.mark.parametrize("field", ["turn_detection", "noise_reduction", "transcription"])
def test_null_turns_a_field_off_and_an_object_on_again(field: str) -> None:
    on = {
        "turn_detection": {"type": "server_vad"},
        "noise_reduction": {"type": "near_field"},
        "transcription": {"model": "whisper-1"},
    }[field]
    off = audio_input(**{field: None})
    assert updated(audio_input(**{field: on}), off)["audio"]["input"][field] is None
    assert updated(off, audio_input(**{field: on}))["audio"]["input"][field] is not None


def test_empty_values_clear_tools_and_instructions() -> None:
    session = updated({"tools": [TOOL], "instructions": "x"}, {"tools": [], "instructions": ""})
    assert (session["tools"], session["instructions"]) == ([], "")


def test_tools_are_echoed_and_stay_until_replaced() -> None:
    choice = {"type": "function", "name": "f"}
    session = updated({"tools": [TOOL], "tool_choice": choice}, {"instructions": "x"})
    assert session["tools"] == [TOOL]
    assert session["tool_choice"] == choice
    assert updated({"tool_choice": choice}, {"tool_choice": "none"})["tool_choice"] == "none"


def test_turn_detection_is_merged_within_its_type() -> None:
    first = turn_detection(type="server_vad", threshold=0.7, idle_timeout_ms=5_000)
    second = turn_detection(type="server_vad", silence_duration_ms=300)
    third = turn_detection(prefix_padding_ms=100, idle_timeout_ms=None)
    assert merged(first, second, third).audio.input.turn_detection == ServerVad(
        threshold=0.7, silence_duration_ms=300, prefix_padding_ms=100
    )


def test_turn_detection_starts_anew_when_its_type_changes() -> None:
    first = turn_detection(type="server_vad", interrupt_response=False)
    second = turn_detection(type="semantic_vad", eagerness="high")
    assert merged(first, second).audio.input.turn_detection == SemanticVad(eagerness="high")
    assert merged(second, first).audio.input.turn_detection == ServerVad(interrupt_response=False)


def test_what_the_client_switches_off_in_turn_detection_is_echoed() -> None:
    session = updated(turn_detection(create_response=False))
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": False,
        "interrupt_response": True,
    }


def test_noise_reduction_keeps_its_strength_when_the_type_changes() -> None:
    first = audio_input(noise_reduction={"type": "near_field", "strength": 0.5})
    second = audio_input(noise_reduction={"type": "far_field"})
    assert updated(first, second)["audio"]["input"]["noise_reduction"] == {
        "type": "far_field",
        "strength": 0.5,
    }


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_formats_change_both_ways(kind: str) -> None:
    telephone = {"type": kind}
    pcm = {"type": "audio/pcm"}
    session = updated(audio_input(format=telephone), audio_output(format=telephone))
    assert session["audio"]["input"]["format"] == telephone
    assert session["audio"]["output"]["format"] == telephone
    back = updated(audio_input(format=telephone), audio_input(format=pcm))
    assert back["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}


@pytest.mark.parametrize("voice", ["ash", {"id": "ash"}, "nobody"])
def test_foreign_names_become_ours(voice: object) -> None:
    names = Catalogue(
        model="local",
        transcription_model="tiny",
        languages={"joe": (), "amy": ()},
        voice_aliases={"ash": "amy"},
    )
    update = audio_output(voice=voice)
    update["model"] = "gpt-realtime-2.1"
    update["audio"]["input"] = {"transcription": {"model": "gpt-4o-mini-transcribe", "prompt": "p"}}
    session = merge(DEFAULT, update, names).to_json("s")
    assert session["model"] == "local"
    assert session["audio"]["input"]["transcription"] == {"model": "tiny", "prompt": "p"}
    assert session["audio"]["output"]["voice"] == ("joe" if voice == "nobody" else "amy")


def test_a_transcription_without_a_model_gets_ours() -> None:
    session = updated(audio_input(transcription=None), audio_input(transcription={}))
    assert session["audio"]["input"]["transcription"] == {"model": "tiny.en"}


def test_text_mode_and_other_settings_are_echoed() -> None:
    update = {
        "output_modalities": ["text"],
        "max_output_tokens": 4096,
        "truncation": {"type": "retention_ratio", "retention_ratio": 0.8},
        "prompt": {"id": "p"},
        "include": ["item.input_audio_transcription.logprobs"],
        "reasoning": {"effort": "low"},
        "parallel_tool_calls": True,
    }
    assert updated(update).items() >= update.items()


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


VAD = "session.audio.input.turn_detection"


@pytest.mark.parametrize(
    ("update", "param", "message"),
    [
        (audio_output(speed=0.2), "session.audio.output.speed", ">= 0.25"),
        (audio_output(speed=1.6), "session.audio.output.speed", "<= 1.5"),
        (audio_output(speed="fast"), "session.audio.output.speed", "expected `float`"),
        (audio_output(speed=None), "session.audio.output.speed", "got `null`"),
        (audio_output(voice=7), "session.audio.output.voice", "expected `str`"),
        (audio_output(voice={"id": 7}), "session.audio.output.voice", "expected `str`"),
        (
            audio_output(format={"type": "audio/opus"}),
            "session.audio.output.format.type",
            "allowed: audio/pcm, audio/pcmu, audio/pcma",
        ),
        (
            audio_input(format={"type": "audio/pcm", "rate": 16_000}),
            "session.audio.input.format.rate",
            "allowed: 24000",
        ),
        (audio_input(format="pcm16"), "session.audio.input.format", "expected `object`"),
        (
            audio_input(noise_reduction={"type": "none"}),
            "session.audio.input.noise_reduction.type",
            "allowed: far_field, near_field",
        ),
        (
            audio_input(transcription={"language": 1}),
            "session.audio.input.transcription.language",
            "`str",
        ),
        (audio_input(transcription={"model": 1}), "session.audio.input.transcription.model", "str"),
        (turn_detection(type="server_vad", threshold=1.1), f"{VAD}.threshold", "<= 1.0"),
        (
            turn_detection(type="server_vad", silence_duration_ms=10_001),
            f"{VAD}.silence_duration_ms",
            "<= 10000",
        ),
        (
            turn_detection(type="server_vad", prefix_padding_ms=-1),
            f"{VAD}.prefix_padding_ms",
            ">= 0",
        ),
        (
            turn_detection(type="server_vad", idle_timeout_ms=100),
            f"{VAD}.idle_timeout_ms",
            ">= 5000",
        ),
        (turn_detection(eagerness="x"), f"{VAD}.eagerness", "auto, high, low, medium"),
        (turn_detection(type="x"), f"{VAD}.type", "allowed: server_vad, semantic_vad"),
        (turn_detection(create_response=1), f"{VAD}.create_response", "expected `bool`"),
        ({"audio": None}, "session.audio", "expected `object`"),
        ({"audio": []}, "session.audio", "expected `object`"),
        ({"audio": {"input": None}}, "session.audio.input", "expected `object`"),
        ({"audio": {"output": 1}}, "session.audio.output", "expected `object`"),
        ({"model": 1}, "session.model", "expected `str`"),
        ({"instructions": None}, "session.instructions", "expected `str`"),
        ({"max_output_tokens": 0}, "session.max_output_tokens", ">= 1"),
        ({"max_output_tokens": 4097}, "session.max_output_tokens", "<= 4096"),
        ({"max_output_tokens": "many"}, "session.max_output_tokens", "allowed: inf"),
        ({"output_modalities": ["text", "audio"]}, "session.output_modalities", "length 1"),
        ({"output_modalities": ["x"]}, "session.output_modalities[0]", "audio, text"),
        ({"tools": [TOOL] * 129}, "session.tools", "<= 128"),
        ({"tools": [{"type": "mcp"}]}, "session.tools[0].type", "allowed: function"),
        ({"tool_choice": "x"}, "session.tool_choice", "allowed: auto, none, required"),
        (
            {"truncation": {"type": "retention_ratio", "retention_ratio": 2}},
            "session.truncation.retention_ratio",
            "<= 1.0",
        ),
        ({"tracing": "x"}, "session.tracing", "allowed: auto"),
        ({"type": "x"}, "session.type", "allowed: realtime"),
        ({"instructions": "x" * 262_144}, "session", "the limit is 262144"),
        ({"prompt": nested(65)}, "session", "64 levels"),
        ({"prompt": {"a": [2**64]}}, "session", "64 bits"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(
    update: dict[str, Any], param: str, message: str
) -> None:
    with pytest.raises(InvalidEvent) as refusal:
        merge(DEFAULT, update, CATALOGUE)
    assert (refusal.value.code, refusal.value.param) == ("invalid_value", param)
    assert message in refusal.value.message
    assert refusal.value.message.startswith(param)


@pytest.mark.parametrize(
    ("update", "param"),
    [
        ({"tools": [{"type": "function"}]}, "session.tools[0].name"),
        ({"tool_choice": {"type": "function"}}, "session.tool_choice.name"),
    ],
)
def test_a_missing_field_is_named(update: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidEvent, match="is missing") as refusal:
        merge(DEFAULT, update, CATALOGUE)
    assert (refusal.value.code, refusal.value.param) == ("missing_field", param)


def test_turn_detection_without_a_type_cannot_be_turned_on() -> None:
    off = merged(audio_input(turn_detection=None))
    with pytest.raises(InvalidEvent) as refusal:
        merge(off, turn_detection(eagerness="high"), CATALOGUE)
    assert (refusal.value.code, refusal.value.param) == ("missing_field", f"{VAD}.type")


@pytest.mark.parametrize("kind", ["transcription", "translation", None, 7])
def test_the_type_of_a_session_cannot_change(kind: object) -> None:
    with pytest.raises(InvalidEvent, match="cannot change; allowed: realtime") as refusal:
        merge(DEFAULT, {"type": kind}, CATALOGUE)
    assert (refusal.value.code, refusal.value.param) == ("invalid_value", "session.type")


def test_a_transcription_session_is_its_input_alone() -> None:
    hearing = default_session(Config(), CATALOGUE, "transcription")
    update = {**turn_detection(type="server_vad", threshold=0.4), "type": "transcription"}
    session = merge(hearing, update, CATALOGUE).to_json("s")
    assert session == {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": "s",
        "include": None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "noise_reduction": None,
                "transcription": {"model": "tiny.en"},
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.4,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                },
            }
        },
    }
    with pytest.raises(InvalidEvent, match="allowed: transcription"):
        merge(hearing, {"type": "realtime"}, CATALOGUE)


def test_the_deepest_accepted_session_can_be_sent() -> None:
    session = updated({"prompt": nested(62)})
    assert msgspec.json.decode(msgspec.json.encode(session)) == session
