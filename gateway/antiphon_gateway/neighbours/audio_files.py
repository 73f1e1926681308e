"""Audio files to PCM16 mono at 16 kHz."""

import io
import wave

import numpy as np
import soxr

from antiphon_gateway.neighbours.refusals import RequestRefused
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ

MAX_AUDIO_S = 3_600
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000
_SECOND_BYTES = 2 * STT_SAMPLE_RATE_HZ
_SCALES = {1: 1 << 8, 2: 1, 4: 1 / (1 << 16)}
"""What makes samples of so many bytes 16-bit ones."""


def decoded_bytes(file: bytes) -> int:
    """Return how much PCM a file will be. Raises RequestRefused; see `decode`."""
    with _opened(file) as wav:
        return int(_seconds(wav, file) * _SECOND_BYTES)


def decode(file: bytes) -> bytes:
    """Return the sound of a WAV file, all channels in one. Blocks for up to a second.

    Raises RequestRefused when it is no WAV file of whole-number samples, or too long.
    """
    with _opened(file) as wav:
        _seconds(wav, file)
        width, channels, rate_hz = wav.getsampwidth(), wav.getnchannels(), wav.getframerate()
        frames = wav.readframes(wav.getnframes())
    frames = frames[: len(frames) // (width * channels) * width * channels]
    if width == 3:
        # The two upper bytes of each sample are its 16-bit value.
        frames = np.frombuffer(frames, np.uint8).reshape(-1, 3)[:, 1:].tobytes()
        width = 2
    kind = {1: "u1", 2: "<i2", 4: "<i4"}[width]
    samples = np.frombuffer(frames, kind).reshape(-1, channels)
    mono = samples.mean(axis=1, dtype=np.float32)
    if width == 1:
        mono -= 128
    mono *= _SCALES[width]
    resampled = soxr.resample(np.rint(mono).astype(np.int16), rate_hz, STT_SAMPLE_RATE_HZ)
    pcm: bytes = resampled.astype("<i2").tobytes()
    return pcm


def _opened(file: bytes) -> wave.Wave_read:
    try:
        return wave.open(io.BytesIO(file), "rb")
    except (wave.Error, EOFError) as exc:
        text = f"file is not a PCM WAV file ({exc or 'it ends too early'}); other formats: no"
        raise _unreadable(text) from exc


def _seconds(wav: wave.Wave_read, file: bytes) -> float:
    rate_hz, width = wav.getframerate(), wav.getsampwidth()
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ or width not in (1, 2, 3, 4):
        raise _unreadable(f"file has {rate_hz} samples a second of {8 * width} bits")
    # A file that was streamed names more than it holds.
    held = len(file) // (width * wav.getnchannels())
    seconds = min(wav.getnframes(), held) / rate_hz
    if seconds > MAX_AUDIO_S:
        text = f"file is {seconds:.0f} s long, the limit is {MAX_AUDIO_S} s"
        raise RequestRefused(413, text, code="file_too_large", param="file")
    return seconds


def _unreadable(text: str) -> RequestRefused:
    return RequestRefused(400, text, code="invalid_audio_file", param="file")
