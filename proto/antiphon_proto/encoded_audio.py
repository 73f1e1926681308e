"""Compressed audio: which types are decoded, and how the gateway talks to a decoder process.

A decoder is started for one stream. It reads the encoded bytes from its standard input, as they
are, and writes messages to its standard output, each a header and a body:

    offset  size  field
    0       u8    kind: 1 audio, 2 consumed, 3 refused
    1       u32   bytes of the body, little-endian

`audio` is PCM16 mono at 16 kHz. `consumed` says that everything that can be heard in the first so
many bytes (u64) was written before it, and that more is wanted. `refused` says in UTF-8 why the
stream is not decoded; it is the last message. A decoder that ends without it and with another exit
code than 0 has crashed.
"""

import enum
import struct
from typing import NamedTuple

from antiphon_proto.errors import ProtocolError

DECODED_RATE_HZ = 16_000
MAX_BODY_BYTES = 64 * 1024
HEADER = struct.Struct("<BI")
CONSUMED = struct.Struct("<Q")

CONTAINERS = {
    "audio/webm": "matroska",
    "video/webm": "matroska",
    "audio/mp4": "mp4",
    "video/mp4": "mp4",
    "audio/x-m4a": "mp4",
    "audio/m4a": "mp4",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
}
"""MIME type without parameters -> name of the container format."""


class UnsupportedAudioType(ProtocolError):
    """Raised for a MIME type that is not decoded; the text names those that are."""

    code = "unsupported_audio_type"


class DecoderMessageKind(enum.IntEnum):
    """What a message of a decoder says."""

    AUDIO = 1
    CONSUMED = 2
    REFUSED = 3


class DecoderMessage(NamedTuple):
    """One message of a decoder."""

    kind: DecoderMessageKind
    body: bytes

    def encode(self) -> bytes:
        """Return the message's bytes."""
        return HEADER.pack(self.kind, len(self.body)) + self.body


def container_of(mime_type: str) -> str:
    """Return the container format of a MIME type, whose parameters do not count.

    Raises UnsupportedAudioType.
    """
    name = mime_type.partition(";")[0].strip().lower()
    if name not in CONTAINERS:
        raise UnsupportedAudioType(
            f"{name[:80]!r} is not decoded; supported are {', '.join(sorted(CONTAINERS))}"
        )
    return CONTAINERS[name]
