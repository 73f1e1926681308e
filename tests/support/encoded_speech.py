"""Recordings as browsers and people send them: compressed, cut into chunks."""

import io
from collections.abc import Iterator
from pathlib import Path

import av

STREAMS = {
    "audio/webm;codecs=opus": ("webm", "libopus", {"live": "1", "cluster_time_limit": "100"}),
    "audio/mp4;codecs=mp4a.40.2": (
        "mp4",
        "aac",
        {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "100000"},
    ),
}
"""What MediaRecorder makes: MIME type -> container, codec, options of the container."""
FILES = {
    "audio/mp4": ("mp4", "aac", {}),
    "audio/mpeg": ("mp3", "libmp3lame", {}),
    "audio/flac": ("flac", "flac", {}),
    "audio/ogg": ("ogg", "libopus", {}),
    "audio/wav": ("wav", "pcm_s16le", {}),
}
"""What people upload; the MP4 has its index at the end."""

ENCODED_HZ = 48_000


class _Pipe:
    """A file that cannot be rewound, as a network cannot."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self.parts.append(bytes(part))
        return len(part)


def encode(recording: Path, mime_type: str) -> bytes:
    """Return a recording as one stream or file of this type."""
    live = mime_type in STREAMS
    container, codec, options = (STREAMS if live else FILES)[mime_type]
    pipe, buffer = _Pipe(), io.BytesIO()
    target = pipe if live else buffer
    with (
        av.open(str(recording)) as source,
        av.open(target, "w", format=container, options=options) as out,
    ):
        stream = out.add_stream(codec, rate=ENCODED_HZ)
        stream.layout = "mono"
        for frame in source.decode(audio=0):
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return b"".join(pipe.parts) if live else buffer.getvalue()


def chunks(encoded: bytes, count: int) -> Iterator[bytes]:
    """Yield the stream in about so many pieces."""
    size = max(1, len(encoded) // count)
    for start in range(0, len(encoded), size):
        yield encoded[start : start + size]
