"""The server's Realtime events that this client understands, as typed structs.

The names are those of the OpenAI Realtime API; `antiphon.*` are this server's extensions. Events of
other types arrive as `OtherEvent`. Fields that the client does not need are left out.
"""

from typing import Any

import msgspec

from antiphon_proto.errors import ProtocolError


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every event."""

    type: str


class OtherEvent(Event, frozen=True, kw_only=True):
    """An event of a type without a struct of its own."""

    body: dict[str, Any]


class AudioFormat(msgspec.Struct, frozen=True):
    """`audio/pcm` with its rate, or a telephone format without one."""

    type: str = "audio/pcm"
    rate: int = 24_000


class AudioOutput(msgspec.Struct, frozen=True):
    """The part of a session's `audio.output` that the client needs."""

    format: AudioFormat = AudioFormat()


class SessionAudio(msgspec.Struct, frozen=True):
    """The part of a session's `audio` that the client needs."""

    output: AudioOutput = AudioOutput()


class Session(msgspec.Struct, frozen=True):
    """The part of a session object that the client needs."""

    id: str = ""
    audio: SessionAudio = SessionAudio()


class SessionCreated(Event, frozen=True, kw_only=True):
    """The first event of a connection."""

    session: Session


class ErrorBody(msgspec.Struct, frozen=True):
    """What went wrong, in words and as a code."""

    message: str = ""
    code: str | None = None
    event_id: str | None = None


class ErrorEvent(Event, frozen=True, kw_only=True):
    """Something failed; the session stays open."""

    error: ErrorBody


class SpeechStarted(Event, frozen=True, kw_only=True):
    """The user has begun to speak."""

    item_id: str = ""


class SpeechStopped(Event, frozen=True, kw_only=True):
    """The user has ended."""

    item_id: str = ""


class Committed(Event, frozen=True, kw_only=True):
    """What the user said has become an item of the conversation."""

    item_id: str


class ItemDeleted(Event, frozen=True, kw_only=True):
    """An item was taken back: the user went on speaking and the next item holds all of it."""

    item_id: str


class TranscriptCompleted(Event, frozen=True, kw_only=True):
    """What the user said; empty when it were no words."""

    item_id: str
    transcript: str


class TranscriptFailed(Event, frozen=True, kw_only=True):
    """What the user said could not be transcribed."""

    item_id: str
    error: ErrorBody = ErrorBody()


class StatusDetails(msgspec.Struct, frozen=True):
    """Why a response did not complete."""

    reason: str | None = None
    error: ErrorBody | None = None


class Response(msgspec.Struct, frozen=True):
    """The part of a response object that the client needs."""

    id: str
    status: str = ""
    status_details: StatusDetails | None = None


class ResponseCreated(Event, frozen=True, kw_only=True):
    """A response has begun."""

    response: Response


class ResponseDone(Event, frozen=True, kw_only=True):
    """A response has ended: completed, incomplete, cancelled or failed."""

    response: Response


class TextDelta(Event, frozen=True, kw_only=True):
    """Text to append to the response: written, or the words of its audio."""

    response_id: str
    delta: str


class AudioDelta(Event, frozen=True, kw_only=True):
    """Audio to append to the response, in the session's output format (base64 on the wire)."""

    response_id: str
    item_id: str
    delta: bytes


class AudioStarted(Event, frozen=True, kw_only=True):
    """The binary audio frames of this stream number belong to this item."""

    response_id: str
    item_id: str
    stream: int
    sample_rate_hz: int


class Duck(Event, frozen=True, kw_only=True):
    """The user may be interrupting: play this item quietly, or pause it, or as before again."""

    item_id: str
    ducked: bool
    paused: bool = False


class Citation(msgspec.Struct, frozen=True):
    """A passage that the model read, and where it stands."""

    source: str
    text: str = ""


class Citations(Event, frozen=True, kw_only=True):
    """What of the owner's documents the model reads for a response."""

    item_id: str
    response_id: str = ""
    citations: tuple[Citation, ...] = ()

    @property
    def sources(self) -> str:
        """The sources, each once."""
        return ", ".join(dict.fromkeys(each.source for each in self.citations))


class TurnMetrics(Event, frozen=True, kw_only=True):
    """When each step of a spoken turn happened, in milliseconds after the end of the speech."""

    response_id: str = ""
    steps_ms: dict[str, float] = {}
    complete: bool = False
    """Whether `parts_ms` are all of the wait: the server knows when the audio was played."""
    mouth_to_ear_ms: float | None = None
    parts_ms: dict[str, float] = {}


KINDS: dict[str, type[Event]] = {
    "session.created": SessionCreated,
    "error": ErrorEvent,
    "input_audio_buffer.speech_started": SpeechStarted,
    "input_audio_buffer.speech_stopped": SpeechStopped,
    "input_audio_buffer.committed": Committed,
    "conversation.item.deleted": ItemDeleted,
    "conversation.item.input_audio_transcription.completed": TranscriptCompleted,
    "conversation.item.input_audio_transcription.failed": TranscriptFailed,
    "response.created": ResponseCreated,
    "response.done": ResponseDone,
    "response.output_audio_transcript.delta": TextDelta,
    "response.output_text.delta": TextDelta,
    "response.output_audio.delta": AudioDelta,
    "antiphon.audio.started": AudioStarted,
    "antiphon.citations": Citations,
    "antiphon.duck": Duck,
    "antiphon.turn.metrics": TurnMetrics,
}

_type_decoder = msgspec.json.Decoder(Event)
_decoders = {name: msgspec.json.Decoder(kind) for name, kind in KINDS.items()}
_body_decoder = msgspec.json.Decoder(dict[str, Any])


def parse(text: str | bytes) -> Event:
    """Return the event in a text message.

    Raises ProtocolError naming what is wrong with it.
    """
    try:
        kind = _type_decoder.decode(text).type
        if decoder := _decoders.get(kind):
            return decoder.decode(text)
        return OtherEvent(type=kind, body=_body_decoder.decode(text))
    except msgspec.DecodeError as exc:
        raise ProtocolError(f"the server sent an event that cannot be read: {exc}") from exc
