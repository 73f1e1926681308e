"""Compressed audio to PCM16 with FFmpeg's libraries (package `av`), as it comes in. Only file that
imports them.
"""

import io
import wave
from collections.abc import Iterator
from typing import Protocol

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from antiphon_proto.encoded_audio import DECODED_RATE_HZ

CODECS = frozenset(
    {
        "aac",
        "alac",
        "flac",
        "mp3",
        "opus",
        "vorbis",
        "pcm_s16le",
        "pcm_s24le",
        "pcm_s32le",
        "pcm_f32le",
        "pcm_u8",
        "pcm_mulaw",
        "pcm_alaw",
    }
)
MAX_CHANNELS = 8
MAX_SAMPLE_RATE_HZ = 192_000
LEAST_BYTES_PER_S = 50
"""Fewer encoded bytes a second no codec here needs, silence included; more audio than that allows
is a decompression bomb."""
GRACE_S = 5.0

_OPTIONS = {
    # The header says all that a decoder needs: begin with the first bytes.
    "probesize": "32",
    "analyzeduration": "0",
    "protocol_whitelist": "",
    "codec_whitelist": ",".join(sorted(CODECS | {"mp3float", "libopus", "libvorbis"})),
    "max_streams": "8",
}


class Refused(Exception):
    """Raised when the input is not decoded; the text says why, for the person who sent it."""


class Source(Protocol):
    """Where the encoded bytes come from."""

    opened: bool
    """Its header was understood. Set here."""

    @property
    def bytes_read(self) -> int:
        """How many were read."""
        ...

    def read(self, most: int) -> bytes:
        """Return some bytes, at most so many; none at the end."""
        ...


def rehearse() -> None:
    """Decode a moment of silence: the libraries open whatever files they need."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as wav:
        wav.setparams((1, 2, 48_000, 0, "NONE", ""))
        wav.writeframes(bytes(9_600))

    class Rehearsal(io.BytesIO):
        bytes_read = 10_000
        opened = False

    for _ in decode(Rehearsal(buffer.getvalue()), "wav", 1.0):
        pass


def decode(source: Source, container: str, max_s: float) -> Iterator[bytes]:
    """Yield PCM16 mono at 16 kHz as soon as it can be decoded.

    A source with `seek` may hold an MP4 file whose index is at its end. Raises Refused.
    """
    samples = 0
    resampler = AudioResampler(format="s16", layout="mono", rate=DECODED_RATE_HZ)
    try:
        for frame in _frames(source, container):
            for resampled in resampler.resample(frame):
                samples += resampled.samples
                _check_length(samples / DECODED_RATE_HZ, source.bytes_read, max_s)
                yield _pcm(resampled)
    except (av.FFmpegError, ValueError, MemoryError, OSError) as exc:
        if not source.bytes_read:
            return
        raise Refused(f"the audio could not be decoded: {_reason(exc)}") from exc
    if not samples:
        raise Refused("there is no audio in it")


def _frames(source: Source, container: str) -> Iterator[AudioFrame | None]:
    """Yield each decoded frame, and None at the end."""
    with av.open(source, "r", format=container, options=_OPTIONS, buffer_size=4096) as opened:
        if not opened.streams.audio:
            raise Refused("there is no audio in it")
        stream = opened.streams.audio[0]
        context = stream.codec_context
        if context.codec.canonical_name not in CODECS:
            raise Refused(f"the codec {context.codec.canonical_name[:40]} is not decoded")
        context.thread_count = 1
        source.opened = True
        if context.channels > MAX_CHANNELS:
            raise Refused(f"it has {context.channels} channels, at most {MAX_CHANNELS} are decoded")
        for packet in opened.demux(stream):
            for frame in packet.decode():
                if frame.sample_rate > MAX_SAMPLE_RATE_HZ:
                    raise Refused(
                        f"its sample rate is {frame.sample_rate} Hz, at most "
                        f"{MAX_SAMPLE_RATE_HZ} are decoded"
                    )
                yield frame
    yield None


def _check_length(decoded_s: float, read_bytes: int, max_s: float) -> None:
    if decoded_s > max_s:
        raise Refused(f"it is longer than {max_s:g} s")
    if decoded_s > GRACE_S + read_bytes / LEAST_BYTES_PER_S:
        raise Refused(
            f"{read_bytes} bytes hold more than {decoded_s:.0f} s of audio; "
            f"at least {LEAST_BYTES_PER_S} bytes a second are expected"
        )


def _pcm(frame: AudioFrame) -> bytes:
    return bytes(memoryview(frame.planes[0])[: 2 * frame.samples])


def _reason(exc: Exception) -> str:
    if isinstance(exc, MemoryError):
        return "it takes too much memory"
    return (getattr(exc, "strerror", None) or str(exc))[:200] or type(exc).__name__
