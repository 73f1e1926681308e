"""Every event that the server sends, and their JSON text.

Keys without a value are left out, not null, except where clients want null: `previous_item_id`,
`transcript`, `status_details`, `usage`, `metadata` and the fields of an error.
"""

from typing import Any, Literal

import msgspec

from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.ids import new_id
from antiphon_gateway.realtime.items import Item
from antiphon_gateway.realtime.response_object import ResponseObject

# --- payloads ------------------------------------------------------------------------------


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong."""

    type: Literal["invalid_request_error", "server_error"]
    code: str | None = None
    message: str
    param: str | None = None
    event_id: str | None = None
    """The client's id of the event at fault."""


class TranscriptionError(msgspec.Struct, frozen=True, kw_only=True):
    """Why an utterance has no transcript."""

    code: str
    message: str
    type: str = "server_error"


class DurationUsage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="duration"):
    """How much audio was transcribed."""

    seconds: float


class AudioPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="audio"):
    """A spoken part of a response."""

    transcript: str = ""


class TextPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """A written part of a response."""

    text: str = ""


Part = AudioPart | TextPart


class ServerEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of every server event."""

    event_id: str = ""
    """Empty: `encode` gives it a fresh one."""


# --- session -------------------------------------------------------------------------------


class SessionCreated(ServerEvent, frozen=True, kw_only=True, tag="session.created"):
    """First event of a connection."""

    session: dict[str, Any]


class SessionUpdated(ServerEvent, frozen=True, kw_only=True, tag="session.updated"):
    """The whole session after an update."""

    session: dict[str, Any]


class Error(ServerEvent, frozen=True, kw_only=True, tag="error"):
    """Something failed; the session goes on. Clients raise on it: never for mere warnings."""

    error: ErrorDetail


# --- input audio ---------------------------------------------------------------------------


class SpeechStarted(
    ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.speech_started"
):
    """The user speaks; clients stop playing."""

    audio_start_ms: int
    """Position in the audio received in this session, padding included."""
    item_id: str
    """The user item that will be committed."""


class SpeechStopped(
    ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.speech_stopped"
):
    """The user's turn is over."""

    audio_end_ms: int
    """Position in the audio received in this session."""
    item_id: str


class InputAudioCommitted(
    ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.committed"
):
    """The buffered audio became a user item."""

    previous_item_id: str | None
    item_id: str


class InputAudioCleared(ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.cleared"):
    """The buffered audio is forgotten."""


class IdleTimeoutTriggered(
    ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.timeout_triggered"
):
    """The user said nothing for `idle_timeout_ms`."""

    audio_start_ms: int
    audio_end_ms: int
    item_id: str


# --- conversation --------------------------------------------------------------------------


class ItemAdded(ServerEvent, frozen=True, kw_only=True, tag="conversation.item.added"):
    """An item entered the conversation, perhaps still empty."""

    previous_item_id: str | None
    item: Item


class ItemDone(ServerEvent, frozen=True, kw_only=True, tag="conversation.item.done"):
    """An item is final."""

    previous_item_id: str | None
    item: Item


class ItemRetrieved(ServerEvent, frozen=True, kw_only=True, tag="conversation.item.retrieved"):
    """The item asked for."""

    item: Item


class ItemTruncated(ServerEvent, frozen=True, kw_only=True, tag="conversation.item.truncated"):
    """An assistant item was cut to what was heard."""

    item_id: str
    content_index: int
    audio_end_ms: int


class ItemDeleted(ServerEvent, frozen=True, kw_only=True, tag="conversation.item.deleted"):
    """An item left the conversation."""

    item_id: str


class TranscriptionDelta(
    ServerEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.delta",
):
    """More of the user's words. What was sent cannot be taken back."""

    item_id: str
    content_index: int
    delta: str


class TranscriptionCompleted(
    ServerEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.completed",
):
    """The user's words; replaces all deltas."""

    item_id: str
    content_index: int
    transcript: str
    usage: DurationUsage


class TranscriptionFailed(
    ServerEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.failed",
):
    """The user's words could not be made out."""

    item_id: str
    content_index: int
    error: TranscriptionError


# --- response ------------------------------------------------------------------------------


class ResponseCreated(ServerEvent, frozen=True, kw_only=True, tag="response.created"):
    """A response begins."""

    response: ResponseObject


class ResponseDone(ServerEvent, frozen=True, kw_only=True, tag="response.done"):
    """A response ended, whatever way."""

    response: ResponseObject


class OutputItemAdded(ServerEvent, frozen=True, kw_only=True, tag="response.output_item.added"):
    """An item of a response begins."""

    response_id: str
    output_index: int
    item: Item


class OutputItemDone(ServerEvent, frozen=True, kw_only=True, tag="response.output_item.done"):
    """An item of a response ended."""

    response_id: str
    output_index: int
    item: Item


class PartEvent(ServerEvent, frozen=True, kw_only=True):
    """Base of the events about one content part of a response."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int


class ContentPartAdded(PartEvent, frozen=True, kw_only=True, tag="response.content_part.added"):
    """A content part begins."""

    part: Part


class ContentPartDone(PartEvent, frozen=True, kw_only=True, tag="response.content_part.done"):
    """A content part ended."""

    part: Part


class OutputAudioDelta(PartEvent, frozen=True, kw_only=True, tag="response.output_audio.delta"):
    """More audio in the response's output format; base64 on the wire."""

    delta: bytes


class OutputAudioDone(PartEvent, frozen=True, kw_only=True, tag="response.output_audio.done"):
    """No more audio of this part, also when cancelled."""


class OutputTranscriptDelta(
    PartEvent, frozen=True, kw_only=True, tag="response.output_audio_transcript.delta"
):
    """More text of the spoken audio."""

    delta: str


class OutputTranscriptDone(
    PartEvent, frozen=True, kw_only=True, tag="response.output_audio_transcript.done"
):
    """The text of the spoken audio."""

    transcript: str


class OutputTextDelta(PartEvent, frozen=True, kw_only=True, tag="response.output_text.delta"):
    """More text of a response in text mode."""

    delta: str


class OutputTextDone(PartEvent, frozen=True, kw_only=True, tag="response.output_text.done"):
    """The text of a response in text mode."""

    text: str


class FunctionArgumentsDelta(
    ServerEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"
):
    """More of a function call's arguments."""

    response_id: str
    item_id: str
    output_index: int
    call_id: str
    delta: str


class FunctionArgumentsDone(
    ServerEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.done"
):
    """A function call's arguments, a JSON object as text."""

    response_id: str
    item_id: str
    output_index: int
    call_id: str
    name: str
    arguments: str


# --- extensions ----------------------------------------------------------------------------


class AudioStarted(PartEvent, frozen=True, kw_only=True, tag="antiphon.audio.started"):
    """Which stream number of the binary audio frames carries this content part."""

    stream: int
    sample_rate_hz: int


class TranscriptPartial(ServerEvent, frozen=True, kw_only=True, tag="antiphon.transcript.partial"):
    """The user's words so far; `stable` only grows, `unstable` may change."""

    item_id: str
    stable: str
    unstable: str


class Duck(ServerEvent, frozen=True, kw_only=True, tag="antiphon.duck"):
    """The user may be interrupting: play this item quietly, or as before again."""

    item_id: str
    ducked: bool


class TurnMetrics(ServerEvent, frozen=True, kw_only=True, tag="antiphon.turn.metrics"):
    """Where the time of one turn went."""

    turn_id: int
    item_id: str | msgspec.UnsetType = msgspec.UNSET
    """The user item, if the turn had one."""
    response_id: str
    voice_to_voice_ms: float
    """End of the user's speech to the first audio of the response."""
    steps_ms: dict[str, float]
    """Each step that happened (`turn_timings.STEPS`), counted from the end of the user's speech."""
    complete: bool = False
    """Whether the client has said when the first audio was played."""
    mouth_to_ear_ms: float | None = None
    """The last of the user's speech captured to the first sample played; when complete."""
    parts_ms: dict[str, float] = {}
    """Where the time went; when complete they sum to `mouth_to_ear_ms`."""


_encoder = msgspec.json.Encoder()


def encode(event: ServerEvent) -> str:
    """Return the event as JSON text, with a fresh event id if it has none."""
    if not event.event_id:
        event = msgspec.structs.replace(event, event_id=new_id("event"))
    return _encoder.encode(event).decode()


def invalid_event(exc: InvalidEvent, client_event_id: str | None = None) -> Error:
    """Return the `error` event that tells a client what was wrong with its event.

    `client_event_id` serves when the refusal itself does not know the client's id.
    """
    detail = ErrorDetail(
        type="invalid_request_error",
        code=exc.code,
        message=exc.message,
        param=exc.param,
        event_id=exc.event_id or client_event_id,
    )
    return Error(error=detail)


def server_error(code: str, message: str, client_event_id: str | None = None) -> Error:
    """Return the `error` event for a failure that is not the client's."""
    detail = ErrorDetail(type="server_error", code=code, message=message, event_id=client_event_id)
    return Error(error=detail)
