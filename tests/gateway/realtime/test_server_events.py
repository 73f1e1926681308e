"""Server events: the documented frames key by key, and the official SDK's own models."""

import json
from typing import Any, get_args

import msgspec
import pytest
from openai.types import realtime as sdk
from openai.types.realtime import realtime_server_event
from pydantic import BaseModel

from antiphon_gateway.realtime import catalogue, response_object
from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputText,
    MessageItem,
    OutputAudio,
    OutputText,
)
from antiphon_gateway.realtime.response_settings import merge_response
from antiphon_gateway.realtime.response_settings import response_object as begin_response
from antiphon_gateway.realtime.server_events import ServerEvent, encode
from antiphon_gateway.realtime.session_settings import default_session
from antiphon_proto.config import Config

CATALOGUE = msgspec.structs.replace(catalogue.from_config(Config()), languages={"alloy": ()})
SESSION = default_session(Config(), CATALOGUE)
RESPONSE = begin_response("resp_13", merge_response(SESSION, None, CATALOGUE), "conv_1")
USER = MessageItem(id="item_4", role="user", content=(InputAudio(),))
EMPTY = MessageItem(id="item_15", role="assistant", content=(), status="in_progress")
SPOKEN = MessageItem(
    id="item_15", role="assistant", content=(OutputAudio(transcript="It is ten o'clock."),)
)
CALL = FunctionCallItem(id="item_9", call_id="call_1", name="get_time", arguments="{}")
PART: dict[str, Any] = {
    "response_id": "resp_13",
    "item_id": "item_15",
    "output_index": 0,
    "content_index": 0,
}
CALL_IDS: dict[str, Any] = {
    "response_id": "resp_13",
    "item_id": "item_9",
    "output_index": 0,
    "call_id": "call_1",
}
DONE = msgspec.structs.replace(
    RESPONSE, status="completed", output=(SPOKEN,), usage=response_object.text_usage(20, 10)
)

RESPONSE_JSON = """{"object":"realtime.response","id":"resp_13","status":"in_progress",
 "status_details":null,"output":[],"conversation_id":"conv_1","output_modalities":["audio"],
 "max_output_tokens":"inf",
 "audio":{"output":{"format":{"type":"audio/pcm","rate":24000},"voice":"alloy"}},
 "usage":null,"metadata":null}"""
PART_JSON = '"response_id":"resp_13","item_id":"item_15","output_index":0,"content_index":0'
USER_JSON = """{"id":"item_4","object":"realtime.item","type":"message","status":"completed",
 "role":"user","content":[{"type":"input_audio","transcript":null}]}"""
EMPTY_JSON = """{"id":"item_15","object":"realtime.item","type":"message","status":"in_progress",
 "role":"assistant","content":[]}"""
SPOKEN_JSON = """{"id":"item_15","object":"realtime.item","type":"message","status":"completed",
 "role":"assistant","content":[{"type":"output_audio","transcript":"It is ten o'clock."}]}"""

DOCUMENTED: list[tuple[ServerEvent, str]] = [
    (
        events.SpeechStarted(audio_start_ms=100, item_id="item_4"),
        '{"type":"input_audio_buffer.speech_started","audio_start_ms":100,"item_id":"item_4"}',
    ),
    (
        events.SpeechStopped(audio_end_ms=400, item_id="item_4"),
        '{"type":"input_audio_buffer.speech_stopped","audio_end_ms":400,"item_id":"item_4"}',
    ),
    (
        events.InputAudioCommitted(previous_item_id=None, item_id="item_4"),
        '{"type":"input_audio_buffer.committed","previous_item_id":null,"item_id":"item_4"}',
    ),
    (
        events.ItemAdded(previous_item_id=None, item=USER),
        f'{{"type":"conversation.item.added","previous_item_id":null,"item":{USER_JSON}}}',
    ),
    (
        events.ItemDone(previous_item_id=None, item=USER),
        f'{{"type":"conversation.item.done","previous_item_id":null,"item":{USER_JSON}}}',
    ),
    (
        events.TranscriptionDelta(item_id="item_4", content_index=0, delta="what time"),
        '{"type":"conversation.item.input_audio_transcription.delta",'
        '"item_id":"item_4","content_index":0,"delta":"what time"}',
    ),
    (
        events.TranscriptionCompleted(
            item_id="item_4",
            content_index=0,
            transcript="What time is it?",
            usage=events.DurationUsage(seconds=0.4),
        ),
        '{"type":"conversation.item.input_audio_transcription.completed","item_id":"item_4",'
        '"content_index":0,"transcript":"What time is it?",'
        '"usage":{"type":"duration","seconds":0.4}}',
    ),
    (
        events.ResponseCreated(response=RESPONSE),
        f'{{"type":"response.created","response":{RESPONSE_JSON}}}',
    ),
    (
        events.OutputItemAdded(response_id="resp_13", output_index=0, item=EMPTY),
        '{"type":"response.output_item.added","response_id":"resp_13","output_index":0,'
        f'"item":{EMPTY_JSON}}}',
    ),
    (
        events.ItemAdded(previous_item_id="item_4", item=EMPTY),
        f'{{"type":"conversation.item.added","previous_item_id":"item_4","item":{EMPTY_JSON}}}',
    ),
    (
        events.ContentPartAdded(**PART, part=events.AudioPart()),
        f'{{"type":"response.content_part.added",{PART_JSON},'
        '"part":{"type":"audio","transcript":""}}',
    ),
    (
        events.OutputTranscriptDelta(**PART, delta="It is"),
        f'{{"type":"response.output_audio_transcript.delta",{PART_JSON},"delta":"It is"}}',
    ),
    (
        events.OutputAudioDelta(**PART, delta=b"\x00\x01\xff"),
        f'{{"type":"response.output_audio.delta",{PART_JSON},"delta":"AAH/"}}',
    ),
    (
        events.OutputAudioDone(**PART),
        f'{{"type":"response.output_audio.done",{PART_JSON}}}',
    ),
    (
        events.OutputTranscriptDone(**PART, transcript="It is ten o'clock."),
        f'{{"type":"response.output_audio_transcript.done",{PART_JSON},'
        '"transcript":"It is ten o\'clock."}',
    ),
    (
        events.ContentPartDone(**PART, part=events.AudioPart(transcript="It is ten o'clock.")),
        f'{{"type":"response.content_part.done",{PART_JSON},'
        '"part":{"type":"audio","transcript":"It is ten o\'clock."}}',
    ),
    (
        events.OutputItemDone(response_id="resp_13", output_index=0, item=SPOKEN),
        '{"type":"response.output_item.done","response_id":"resp_13","output_index":0,'
        f'"item":{SPOKEN_JSON}}}',
    ),
    (
        events.ItemDone(previous_item_id="item_4", item=SPOKEN),
        f'{{"type":"conversation.item.done","previous_item_id":"item_4","item":{SPOKEN_JSON}}}',
    ),
    (
        events.ResponseDone(response=DONE),
        '{"type":"response.done","response":'
        + RESPONSE_JSON.replace('"in_progress"', '"completed"')
        .replace('"output":[]', f'"output":[{SPOKEN_JSON}]')
        .replace(
            '"usage":null',
            '"usage":{"total_tokens":30,"input_tokens":20,"output_tokens":10,'
            '"input_token_details":{"text_tokens":20,"audio_tokens":0,"cached_tokens":0},'
            '"output_token_details":{"text_tokens":10,"audio_tokens":0}}',
        )
        + "}",
    ),
    (
        events.ItemTruncated(item_id="item_15", content_index=0, audio_end_ms=240),
        '{"type":"conversation.item.truncated","item_id":"item_15","content_index":0,'
        '"audio_end_ms":240}',
    ),
    (
        events.OutputItemAdded(
            response_id="resp_13",
            output_index=0,
            item=FunctionCallItem(
                id="item_9", call_id="call_1", name="get_time", arguments="", status="in_progress"
            ),
        ),
        '{"type":"response.output_item.added","response_id":"resp_13","output_index":0,'
        '"item":{"id":"item_9","object":"realtime.item","type":"function_call",'
        '"status":"in_progress","name":"get_time","call_id":"call_1","arguments":""}}',
    ),
    (
        events.invalid_event(InvalidEvent("conversation_already_has_active_response", "...")),
        '{"type":"error","error":{"type":"invalid_request_error",'
        '"code":"conversation_already_has_active_response","message":"...","param":null,'
        '"event_id":null}}',
    ),
]

UNDOCUMENTED: list[ServerEvent] = [
    events.SessionCreated(session=SESSION.to_json("sess_1")),
    events.SessionUpdated(session=SESSION.to_json("sess_1")),
    events.server_error("stage_unavailable", "no stt worker", "event_of_client"),
    events.InputAudioCleared(),
    events.IdleTimeoutTriggered(audio_start_ms=1, audio_end_ms=2, item_id="item_4"),
    events.ItemRetrieved(item=SPOKEN),
    events.ItemRetrieved(
        item=MessageItem(id="item_1", role="system", content=(InputText(text="Be brief."),))
    ),
    events.ItemRetrieved(
        item=MessageItem(id="item_1", role="assistant", content=(OutputText(text="Hello"),))
    ),
    events.ItemRetrieved(
        item=FunctionCallOutputItem(id="item_1", call_id="call_1", output="10:00")
    ),
    events.ItemDeleted(item_id="item_4"),
    events.TranscriptionFailed(
        item_id="item_4",
        content_index=0,
        error=events.TranscriptionError(code="stage_unavailable", message="no stt worker"),
    ),
    events.OutputTextDelta(**PART, delta="Hel"),
    events.OutputTextDone(**PART, text="Hello"),
    events.ContentPartAdded(**PART, part=events.TextPart()),
    events.FunctionArgumentsDelta(**CALL_IDS, delta="{"),
    events.FunctionArgumentsDone(**CALL_IDS, name="get_time", arguments="{}"),
    *(
        events.ResponseDone(
            response=msgspec.structs.replace(
                RESPONSE, status=details.type, status_details=details, output=(CALL,)
            )
        )
        for details in (
            response_object.cancelled("turn_detected"),
            response_object.cancelled("client_cancelled"),
            response_object.incomplete("max_output_tokens"),
            response_object.failed("stage_unavailable", "no llm worker"),
        )
    ),
]

EXTENSIONS: list[tuple[ServerEvent, dict[str, Any]]] = [
    (
        events.AudioStarted(**PART, stream=3, sample_rate_hz=22_050),
        {"type": "antiphon.audio.started", **PART, "stream": 3, "sample_rate_hz": 22_050},
    ),
    (
        events.TranscriptPartial(item_id="item_4", stable="what time", unstable="is it"),
        {
            "type": "antiphon.transcript.partial",
            "item_id": "item_4",
            "stable": "what time",
            "unstable": "is it",
        },
    ),
    (
        events.TurnMetrics(
            turn_id=1, response_id="resp_1", voice_to_voice_ms=5.0, steps_ms={"llm": 5.0}
        ),
        {
            "type": "antiphon.turn.metrics",
            "turn_id": 1,
            "response_id": "resp_1",
            "voice_to_voice_ms": 5.0,
            "steps_ms": {"llm": 5.0},
            "complete": False,
            "mouth_to_ear_ms": None,
            "parts_ms": {},
        },
    ),
]

GA_EVENTS = [event for event, _ in DOCUMENTED] + UNDOCUMENTED
NOT_SENT = ("output_audio_buffer.", "mcp_", "response.mcp_", "rate_limits.", "conversation.created")


def sent_type(event: ServerEvent) -> str:
    return str(event.__struct_config__.tag)


def sdk_model(event_type: str) -> type[BaseModel]:
    union = get_args(realtime_server_event.RealtimeServerEvent)[0]
    models = {
        get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(union)
    }
    return models[event_type]


def unknown_keys(value: object) -> set[str]:
    """The keys, at any depth, that the SDK's models do not declare."""
    if isinstance(value, BaseModel):
        inner = [getattr(value, name) for name in value.model_fields_set]
        extra = set(value.model_extra or {})
        return extra.union(*(unknown_keys(each) for each in inner))
    if isinstance(value, list):
        return set().union(*(unknown_keys(each) for each in value))
    return set()


@pytest.mark.parametrize(("event", "documented"), DOCUMENTED, ids=lambda each: str(each)[:40])
def test_events_have_exactly_the_documented_keys(event: ServerEvent, documented: str) -> None:
    sent = json.loads(encode(event))
    assert sent.pop("event_id").startswith("event_")
    assert sent == json.loads(documented)


@pytest.mark.parametrize(("event", "expected"), EXTENSIONS)
def test_extension_events_have_exactly_these_keys(
    event: ServerEvent, expected: dict[str, Any]
) -> None:
    sent = json.loads(encode(event))
    assert sent.pop("event_id").startswith("event_")
    assert sent == expected


@pytest.mark.parametrize("event", GA_EVENTS, ids=sent_type)
def test_the_official_sdk_knows_every_key_and_type(event: ServerEvent) -> None:
    text = encode(event)
    parsed = sdk_model(sent_type(event)).model_validate_json(text)
    session_only = {"id", "object"} if sent_type(event).startswith("session.") else set()
    assert unknown_keys(parsed) == session_only
    assert json.loads(parsed.model_dump_json(exclude_unset=True)) == json.loads(text)


def test_every_event_of_the_websocket_flow_is_covered() -> None:
    union = get_args(realtime_server_event.RealtimeServerEvent)[0]
    of_sdk = {get_args(model.model_fields["type"].annotation)[0] for model in get_args(union)}
    expected = {name for name in of_sdk if not name.startswith(NOT_SENT)} - {
        "conversation.item.created",
        "conversation.item.input_audio_transcription.segment",
        "input_audio_buffer.dtmf_event_received",
    }
    assert {sent_type(event) for event in GA_EVENTS} == expected


def test_the_session_is_the_realtime_one_for_the_sdk() -> None:
    text = encode(events.SessionCreated(session=SESSION.to_json("sess_1")))
    parsed = sdk.SessionCreatedEvent.model_validate_json(text)
    assert isinstance(parsed.session, sdk.RealtimeSessionCreateRequest)


def test_every_encoding_has_its_own_event_id_unless_given() -> None:
    event = events.InputAudioCleared()
    ids = {json.loads(encode(event))["event_id"] for _ in range(100)}
    assert len(ids) == 100
    assert json.loads(encode(events.InputAudioCleared(event_id="event_7")))["event_id"] == "event_7"


def test_an_error_repeats_the_clients_event_id_and_names_the_field() -> None:
    refusal = InvalidEvent("invalid_value", "item_id: unknown", param="item_id")
    sent = json.loads(encode(events.invalid_event(refusal, "mine")))
    assert sent["error"]["event_id"] == "mine"
    assert sent["error"]["param"] == "item_id"
    refusal.event_id = "read"
    assert events.invalid_event(refusal, "mine").error.event_id == "read"


def test_a_response_outside_the_conversation_has_no_conversation_id() -> None:
    settings = merge_response(SESSION, {"conversation": "none"}, CATALOGUE)
    response = begin_response("resp_1", settings, "conv_1")
    sent = json.loads(encode(events.ResponseCreated(response=response)))
    assert "conversation_id" not in sent["response"]
