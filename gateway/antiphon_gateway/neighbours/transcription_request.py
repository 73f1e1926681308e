"""The multipart form of a transcription: the file, and how its words are wanted."""

from typing import Literal, get_args

import msgspec
from aiohttp import BodyPartReader, web

from antiphon_gateway.neighbours.bodies import MemoryShare, patience
from antiphon_gateway.neighbours.refusals import RequestRefused, unsupported
from antiphon_gateway.realtime.errors import InvalidEvent

MAX_FILE_BYTES = 25 * 1024 * 1024
MAX_FIELD_BYTES = 8 * 1024
MAX_PARTS = 32
UPLOAD_TIMEOUT_S = 120.0
TextFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]
FORMATS: tuple[TextFormat, ...] = get_args(TextFormat)
_CHUNK_BYTES = 64 * 1024
_REFUSED = {
    "include[]": "log probabilities of tokens are not known",
    "known_speaker_names[]": "speakers are not told apart",
    "known_speaker_references[]": "speakers are not told apart",
}


class TranscriptionRequest(msgspec.Struct, frozen=True):
    """A file and what is wanted of it."""

    file: bytes
    format: TextFormat
    stream: bool
    language: str | None
    prompt: str


async def read(request: web.Request, memory: MemoryShare) -> TranscriptionRequest:
    """Return the form of a request; what it holds is counted in `memory`.

    Raises RequestRefused or InvalidEvent naming the field at fault.
    """
    if request.content_type != "multipart/form-data":
        text = f"Content-Type is {request.content_type[:100]!r}, not multipart/form-data"
        raise RequestRefused(415, text, code="unsupported_media_type")
    fields: dict[str, str] = {}
    file: bytes | None = None
    async with patience(UPLOAD_TIMEOUT_S):
        try:
            parts = await request.multipart()
            for _ in range(MAX_PARTS):
                part = await parts.next()
                if part is None:
                    break
                name = part.name or "" if isinstance(part, BodyPartReader) else ""
                if not isinstance(part, BodyPartReader) or not name:
                    raise InvalidEvent("invalid_value", "a part of the form has no name")
                if name == "file":
                    file = await _read_part(part, MAX_FILE_BYTES, name, memory)
                else:
                    value = await _read_part(part, MAX_FIELD_BYTES, name, memory)
                    fields[name] = value.decode("utf-8", "replace").strip()
            else:
                raise InvalidEvent("invalid_value", f"the form has more than {MAX_PARTS} parts")
        except ValueError as exc:  # aiohttp's word for a malformed form
            raise InvalidEvent("invalid_value", "the body is not a multipart form") from exc
    if file is None:
        raise InvalidEvent("missing_field", "file is missing", param="file")
    return interpret(file, fields)


def interpret(file: bytes, fields: dict[str, str]) -> TranscriptionRequest:
    """Return the request of a form. Pure; `read` says what it raises."""
    for name, reason in _REFUSED.items():
        if fields.get(name):
            raise unsupported(name, f"{name}: {reason}")
    if "word" in fields.get("timestamp_granularities[]", ""):
        text = "timestamp_granularities[]: times of words are not known; allowed: segment"
        raise unsupported("timestamp_granularities[]", text)
    wanted = fields.get("response_format") or "json"
    matching = [known for known in FORMATS if known == wanted]
    if not matching:
        text = f"response_format is {wanted[:40]!r}; allowed: {', '.join(FORMATS)}"
        raise InvalidEvent("invalid_value", text, param="response_format")
    stream = fields.get("stream", "false").lower()
    if stream not in ("true", "false", "1", "0"):
        raise InvalidEvent("invalid_value", "stream is neither true nor false", param="stream")
    return TranscriptionRequest(
        file=file,
        format=matching[0],
        stream=stream in ("true", "1"),
        language=fields.get("language") or None,
        prompt=fields.get("prompt", ""),
    )


async def _read_part(
    part: BodyPartReader, limit_bytes: int, name: str, memory: MemoryShare
) -> bytes:
    held = bytearray()
    while chunk := await part.read_chunk(_CHUNK_BYTES):
        memory.take(len(chunk))
        held += chunk
        if len(held) > limit_bytes:
            text = f"{name} has more than {limit_bytes} bytes"
            raise RequestRefused(413, text, code="file_too_large", param=name)
    return bytes(held)
