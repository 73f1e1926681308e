"""Server events about the microphone's audio and its words."""

import msgspec

from antiphon_gateway.realtime.server_events.base import ServerEvent


class TranscriptionError(msgspec.Struct, frozen=True, kw_only=True):
    """Why an utterance has no transcript."""

    code: str
    message: str
    type: str = "server_error"


class DurationUsage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="duration"):
    """How much audio was transcribed."""

    seconds: float


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
    """The user's turn is over; a pause within it sends nothing."""

    audio_end_ms: int
    """End of the item's audio in the audio received in this session, the silence included."""
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
