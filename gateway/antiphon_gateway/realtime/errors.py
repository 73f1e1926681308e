"""The one error that a client's event can cause, and its closed set of codes."""

from typing import Literal, get_args

from antiphon_proto.errors import ProtocolError

ErrorCode = Literal[
    "invalid_json",
    "unknown_event",
    "unsupported_event",
    "missing_field",
    "invalid_value",
    "unsupported_value",
    "item_not_found",
    "item_already_exists",
    "item_not_truncatable",
    "item_create_invalid_previous_item_id",
    "input_audio_buffer_commit_empty",
    "input_audio_buffer_full",
    "invalid_binary_message",
    "invalid_audio_frame",
    "encoded_audio_not_started",
    "unsupported_audio_type",
    "invalid_encoded_audio",
    "decoders_busy",
    "decoder_failed",
    "conversation_already_has_active_response",
    "response_cancel_not_active",
    "session_not_resumable",
]
ERROR_CODES: tuple[ErrorCode, ...] = get_args(ErrorCode)


class InvalidEvent(ProtocolError):
    """Raised when a client's event cannot be carried out; the session goes on."""

    type = "invalid_request_error"

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        param: str | None = None,
        event_id: str | None = None,
    ) -> None:
        """Keep what the `error` event needs.

        `param` is the dotted path of the field at fault. `event_id` is the client's own id of the
        event, when it could be read.
        """
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message
        self.param = param
        self.event_id = event_id


def buffer_full(limit_ms: int) -> InvalidEvent:
    """Return why audio was dropped that the client did not commit."""
    return InvalidEvent(
        "input_audio_buffer_full",
        f"the input audio buffer holds at most {limit_ms // 1000} s without a commit; "
        "it was cleared",
    )


def commit_empty(held_ms: int, needed_ms: int) -> InvalidEvent:
    """Return why a commit of hardly any audio is refused."""
    return InvalidEvent(
        "input_audio_buffer_commit_empty",
        f"the input audio buffer holds {held_ms} ms of audio, a commit needs {needed_ms} ms",
    )
