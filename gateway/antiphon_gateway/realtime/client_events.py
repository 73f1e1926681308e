"""Every event that clients send, and the only place where a client's text becomes one."""

from typing import Annotated, Any

import msgspec

from antiphon_gateway.realtime.client_items import ClientId, ClientItem
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.validation import explain

MAX_APPEND_BYTES = 15 * 1024 * 1024
MAX_EVENT_ID_CHARS = 512

_MAX_SHOWN_CHARS = 100

EventId = Annotated[str, msgspec.Meta(max_length=MAX_EVENT_ID_CHARS)]
Index = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
SessionMilliseconds = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A position in a session's audio. JavaScript counts exactly up to 2**53."""

Underruns = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
MessageNumber = Annotated[int, msgspec.Meta(ge=0, le=2**53)]

ClientMicroseconds = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A time of the clock that stamps the client's microphone frames."""


class ClientEventBase(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of every client event. Fields that we do not know are ignored."""

    event_id: EventId | None = None
    """Repeated in the `error` event that this event causes."""


class SessionUpdate(ClientEventBase, frozen=True, kw_only=True, tag="session.update"):
    """Change the given fields of the session; see `session_settings.merge`."""

    session: dict[str, Any]


class InputAudioAppend(ClientEventBase, frozen=True, kw_only=True, tag="input_audio_buffer.append"):
    """More microphone audio, in the session's input format, cut anywhere."""

    audio: Annotated[bytes, msgspec.Meta(max_length=MAX_APPEND_BYTES)]


class InputAudioCommit(ClientEventBase, frozen=True, kw_only=True, tag="input_audio_buffer.commit"):
    """The user's turn is over."""


class InputAudioClear(ClientEventBase, frozen=True, kw_only=True, tag="input_audio_buffer.clear"):
    """Forget the audio that is not committed."""


class OutputAudioClear(ClientEventBase, frozen=True, kw_only=True, tag="output_audio_buffer.clear"):
    """Forget the audio that is not played. Means nothing on a WebSocket."""


class ItemCreate(ClientEventBase, frozen=True, kw_only=True, tag="conversation.item.create"):
    """Add an item; see `client_items.accept` and `Conversation.add`."""

    item: ClientItem
    previous_item_id: ClientId | None = None
    """None: at the end; `root`: at the start; else after that item."""


class ItemRetrieve(ClientEventBase, frozen=True, kw_only=True, tag="conversation.item.retrieve"):
    """Ask for one item."""

    item_id: ClientId


class ItemTruncate(ClientEventBase, frozen=True, kw_only=True, tag="conversation.item.truncate"):
    """The user heard only the first `audio_end_ms` of this item."""

    item_id: ClientId
    content_index: Index
    audio_end_ms: SessionMilliseconds


class ItemDelete(ClientEventBase, frozen=True, kw_only=True, tag="conversation.item.delete"):
    """Remove one item."""

    item_id: ClientId


class ResponseCreate(ClientEventBase, frozen=True, kw_only=True, tag="response.create"):
    """Respond now; see `response_settings.merge_response`."""

    response: dict[str, Any] | None = None


class ResponseCancel(ClientEventBase, frozen=True, kw_only=True, tag="response.cancel"):
    """Stop the response named, or the running one."""

    response_id: ClientId | None = None


class Playout(ClientEventBase, frozen=True, kw_only=True, tag="antiphon.playout"):
    """Extension: how much of an item's audio has been heard and how much more has arrived."""

    item_id: ClientId
    played_ms: SessionMilliseconds
    buffered_ms: SessionMilliseconds
    underruns: Underruns = 0
    """How often the client had nothing of this item left to play."""


class TurnPlayed(ClientEventBase, frozen=True, kw_only=True, tag="antiphon.turn.played"):
    """Extension: when the first audio of a response item was played, by the microphone's clock."""

    item_id: ClientId
    received_us: ClientMicroseconds
    """The first audio arrived."""
    started_us: ClientMicroseconds
    """Its first sample left the jitter buffer."""
    heard_us: ClientMicroseconds
    """Its first sample left the loudspeaker."""

    def __post_init__(self) -> None:
        if not self.received_us <= self.started_us <= self.heard_us:
            raise ValueError("received_us, started_us and heard_us do not follow each other")


class Ack(ClientEventBase, frozen=True, kw_only=True, tag="antiphon.ack"):
    """Extension: the client has every message up to this number."""

    seq: MessageNumber


class Resume(ClientEventBase, frozen=True, kw_only=True, tag="antiphon.resume"):
    """Extension: the first message of a connection that has a session back."""

    last_seq: MessageNumber
    """Number of the last message received in the session."""
    item_id: ClientId | None = None
    played_ms: SessionMilliseconds = 0
    """How much of that item was played; of what was received, if no item is named, all."""
    received_item_id: ClientId | None = None
    received_samples: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    """How much of which item has arrived: the newest one, which may not be the one played."""


class EncodedAudioStart(
    ClientEventBase, frozen=True, kw_only=True, tag="antiphon.encoded_audio.start"
):
    """Extension: compressed microphone audio of this type follows in binary frames of kind 3."""

    mime_type: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class EncodedAudioStop(
    ClientEventBase, frozen=True, kw_only=True, tag="antiphon.encoded_audio.stop"
):
    """Extension: the compressed stream is complete."""


ClientEvent = (
    SessionUpdate
    | InputAudioAppend
    | InputAudioCommit
    | InputAudioClear
    | OutputAudioClear
    | ItemCreate
    | ItemRetrieve
    | ItemTruncate
    | ItemDelete
    | ResponseCreate
    | ResponseCancel
    | Playout
    | TurnPlayed
    | Ack
    | Resume
    | EncodedAudioStart
    | EncodedAudioStop
)


class _Envelope(msgspec.Struct, frozen=True):
    type: Any = None
    event_id: Any = None

    @property
    def client_event_id(self) -> str | None:
        if isinstance(self.event_id, str) and len(self.event_id) <= MAX_EVENT_ID_CHARS:
            return self.event_id
        return None


_decoder: msgspec.json.Decoder[ClientEvent] = msgspec.json.Decoder(ClientEvent)
_envelopes = msgspec.json.Decoder(_Envelope)
_BY_TYPE = {str(event.__struct_config__.tag): event for event in ClientEvent.__args__}


def decode(text: bytes | str) -> ClientEvent:
    """Return the event in one text message of a client.

    Raises InvalidEvent: `invalid_json`, `unknown_event`, `missing_field` or `invalid_value`.
    """
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as exc:
        raise _explain(text, exc) from exc
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise _not_json(exc) from exc


def _explain(text: bytes | str, exc: msgspec.ValidationError) -> InvalidEvent:
    """Return the refusal of JSON that is no event."""
    try:
        envelope = _envelopes.decode(text)
    except msgspec.ValidationError:
        return explain(exc, ClientEvent)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as malformed:
        return _not_json(malformed)
    event_id = envelope.client_event_id
    if envelope.type is None:
        return InvalidEvent("missing_field", "type is missing", param="type", event_id=event_id)
    if not isinstance(envelope.type, str):
        return InvalidEvent(
            "invalid_value", "type: expected `str`", param="type", event_id=event_id
        )
    if envelope.type not in _BY_TYPE:
        shown = envelope.type[:_MAX_SHOWN_CHARS]
        return InvalidEvent(
            "unknown_event", f"there is no client event {shown!r}", param="type", event_id=event_id
        )
    return explain(exc, _BY_TYPE[envelope.type], event_id=event_id)


def _not_json(exc: Exception) -> InvalidEvent:
    if isinstance(exc, RecursionError):
        return InvalidEvent("invalid_json", "event is nested too deeply")
    # msgspec reports an unpaired surrogate as truncated input.
    return InvalidEvent(
        "invalid_json", f"event is not JSON in UTF-8, or has an unpaired surrogate: {exc}"
    )


def only_for_webrtc() -> InvalidEvent:
    """Return why `output_audio_buffer.clear` is refused."""
    return InvalidEvent(
        "unsupported_event",
        "output_audio_buffer.clear is for WebRTC; on a WebSocket the client drops its own audio "
        "and sends conversation.item.truncate",
    )


def only_for_realtime() -> InvalidEvent:
    """Return why `response.create` is refused in a transcription session."""
    return InvalidEvent(
        "unsupported_event", "response.create: a transcription session has no answers"
    )
