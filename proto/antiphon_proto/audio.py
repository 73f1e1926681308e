"""Sample formats and rates: PCM16 bytes, float32 arrays, streaming resampling."""

import io
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from antiphon_proto.resampling import SincResampler

Samples = npt.NDArray[np.float32]
"""[samples] float32 mono in -1..1."""


def pcm16_to_float(pcm: bytes) -> Samples:
    """Return PCM16 little-endian bytes as `[samples] float32`. An odd last byte is an error."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768.0


def float_to_pcm16(samples: Samples) -> bytes:
    """Return `[samples] float32` as PCM16 little-endian bytes, clipped to full scale."""
    pcm: bytes = np.clip(np.rint(samples * 32767.0), -32768, 32767).astype("<i2").tobytes()
    return pcm


class Resampler:
    """A stream of PCM16 from one rate to another. It holds back 1 ms, at 8 kHz 2 ms."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._stream = None if from_hz == to_hz else SincResampler(from_hz, to_hz)

    def feed(self, pcm: bytes, *, last: bool = False) -> bytes:
        """Return what `pcm` adds to the output; with `last` the tail held back too."""
        if self._stream is None:
            return pcm
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
        made = np.rint(self._stream.feed(samples, last=last))
        resampled: bytes = np.clip(made, -32768, 32767).astype("<i2").tobytes()
        return resampled


def read_wav(path: Path) -> tuple[bytes, int]:
    """Return the first channel of a 16-bit WAV file as PCM16 and its sample rate in hertz.

    Raises ValueError when the file is not 16-bit PCM WAV.
    """
    try:
        with wave.open(str(path), "rb") as reader:
            if reader.getsampwidth() != 2:
                raise ValueError(f"{path} has {8 * reader.getsampwidth()}-bit samples, not 16-bit")
            interleaved = np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2")
            return interleaved[:: reader.getnchannels()].tobytes(), reader.getframerate()
    except (wave.Error, EOFError) as exc:
        raise ValueError(f"{path} is not a PCM WAV file: {exc}") from exc


def write_wav(path: Path, pcm: bytes, sample_rate_hz: int) -> None:
    """Write PCM16 mono as a WAV file."""
    path.write_bytes(wav_bytes(pcm, sample_rate_hz))


def wav_bytes(pcm: bytes, sample_rate_hz: int) -> bytes:
    """Return PCM16 mono as the bytes of a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate_hz)
        writer.writeframes(pcm)
    return buffer.getvalue()
