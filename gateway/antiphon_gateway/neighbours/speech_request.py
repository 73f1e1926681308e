"""A request for speech. Pure."""

from typing import Annotated, Any, Literal

import msgspec

from antiphon_gateway.neighbours.refusals import unsupported
from antiphon_gateway.realtime.catalogue import Catalogue
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.validation import convert

MAX_CHARACTERS = 4_096
AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
_SpeechFormat = AudioFormat | None


class _Voice(msgspec.Struct, frozen=True):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class _Body(msgspec.Struct, frozen=True):
    input: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_CHARACTERS)]
    voice: Annotated[str, msgspec.Meta(max_length=64)] | _Voice | None = None
    response_format: _SpeechFormat = None
    speed: Annotated[float, msgspec.Meta(ge=0.25, le=4.0)] | None = None
    stream_format: Literal["audio", "sse"] | None = None


class SpeechRequest(msgspec.Struct, frozen=True):
    """What is to be said, and how it is sent."""

    text: str
    voice: str
    speed: float
    format: AudioFormat
    as_events: bool
    language: str = ""
    """ISO 639-1 code of what the voice speaks; empty: not known."""


def parse(
    raw: dict[str, Any], catalogue: Catalogue, formats: tuple[AudioFormat, ...]
) -> SpeechRequest:
    """Return the request in a decoded body; `formats`: what can be sent, the default first.

    Raises InvalidEvent for a field that is not what it should be, RequestRefused for a format that
    cannot be made.
    """
    body = convert(raw, _Body, "")
    wanted = body.response_format or formats[0]
    if wanted not in formats:
        text = f"response_format is {wanted}, which cannot be made here; try: {', '.join(formats)}"
        raise unsupported("response_format", text)
    if not any(map(str.isalnum, body.input)):
        raise InvalidEvent("invalid_value", "input holds nothing to say", param="input")
    asked = body.voice.id if isinstance(body.voice, _Voice) else body.voice or ""
    voice = catalogue.resolve_voice(asked)
    return SpeechRequest(
        text=body.input,
        voice=voice,
        speed=body.speed or 1.0,
        format=wanted,
        as_events=body.stream_format == "sse",
        language=catalogue.spoken(voice, ""),
    )
