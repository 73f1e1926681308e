"""The `response` object inside `response.created` and `response.done`."""

from typing import Annotated, Literal

import msgspec

from antiphon_gateway.realtime.audio_formats import AudioFormat
from antiphon_gateway.realtime.items import Item

OutputModality = Literal["text", "audio"]
ResponseStatus = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]
EndReason = Literal["turn_detected", "client_cancelled", "max_output_tokens", "content_filter"]
MaxOutputTokens = Annotated[int, msgspec.Meta(ge=1, le=4096)] | Literal["inf"]
"""`inf`: as many as the server's configuration allows."""


class ResponseError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a response failed."""

    code: str
    message: str
    type: str = "server_error"


class StatusDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Why a response did not complete."""

    type: Literal["cancelled", "incomplete", "failed"]
    reason: EndReason | msgspec.UnsetType = msgspec.UNSET
    error: ResponseError | msgspec.UnsetType = msgspec.UNSET


class InputTokenDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The prompt's tokens by kind."""

    text_tokens: int
    audio_tokens: int = 0
    cached_tokens: int = 0


class OutputTokenDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The answer's tokens by kind."""

    text_tokens: int
    audio_tokens: int = 0


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens that the language model read and wrote."""

    total_tokens: int
    input_tokens: int
    output_tokens: int
    input_token_details: InputTokenDetails
    output_token_details: OutputTokenDetails


class ResponseAudioOutput(msgspec.Struct, frozen=True, kw_only=True):
    """How the response sounds."""

    format: AudioFormat
    voice: str


class ResponseAudio(msgspec.Struct, frozen=True, kw_only=True):
    """The audio part of a response's settings."""

    output: ResponseAudioOutput


class ResponseObject(msgspec.Struct, frozen=True, kw_only=True):
    """One response. What is None is sent as null, what is unset is left out."""

    id: str
    status: ResponseStatus = "in_progress"
    status_details: StatusDetails | None = None
    output: tuple[Item, ...] = ()
    conversation_id: str | msgspec.UnsetType = msgspec.UNSET
    """Unset for a response outside the conversation."""
    output_modalities: tuple[OutputModality]
    max_output_tokens: MaxOutputTokens
    audio: ResponseAudio
    usage: Usage | None = None
    metadata: dict[str, str] | None = None
    object: Literal["realtime.response"] = "realtime.response"


def text_usage(input_tokens: int, output_tokens: int) -> Usage:
    """Return the usage of a language model that reads and writes text."""
    return Usage(
        total_tokens=input_tokens + output_tokens,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        input_token_details=InputTokenDetails(text_tokens=input_tokens),
        output_token_details=OutputTokenDetails(text_tokens=output_tokens),
    )


def cancelled(reason: Literal["turn_detected", "client_cancelled"]) -> StatusDetails:
    """Return the details of a response that was stopped."""
    return StatusDetails(type="cancelled", reason=reason)


def incomplete(reason: Literal["max_output_tokens", "content_filter"]) -> StatusDetails:
    """Return the details of a response that the model had to end early."""
    return StatusDetails(type="incomplete", reason=reason)


def failed(code: str, message: str) -> StatusDetails:
    """Return the details of a response that could not be made."""
    return StatusDetails(type="failed", error=ResponseError(code=code, message=message))
