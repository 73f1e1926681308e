"""Audio files to PCM16 mono at 16 kHz.

WAV files of whole-number samples are read here; everything else, in a decoder process.
"""

import asyncio
import io
import wave

import numpy as np
import soxr

from antiphon_gateway.decoders import Decoders, DecodingFailed
from antiphon_gateway.neighbours.bodies import MemoryShare
from antiphon_gateway.neighbours.refusals import RequestRefused
from antiphon_gateway.seats import RETRY_AFTER_S
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ

MAX_AUDIO_S = 3_600
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000
_SECOND_BYTES = 2 * STT_SAMPLE_RATE_HZ
_SCALES = {1: 1 << 8, 2: 1, 4: 1 / (1 << 16)}
"""What makes samples of so many bytes 16-bit ones."""
_KINDS = {1: "u1", 2: "<i2", 3: "", 4: "<i4"}
"""How numpy calls them; of three bytes the two upper ones are taken."""


_BEGINNINGS = (
    (0, b"RIFF", "audio/wav"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"\x1a\x45\xdf\xa3", "audio/webm"),
    (4, b"ftyp", "audio/mp4"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"\xff\xf9", "audio/aac"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"\xff\xfa", "audio/mpeg"),
)
"""Where a file of each type has which bytes; names and types that clients give are often wrong."""


async def decode(file: bytes, decoders: Decoders, memory: MemoryShare) -> bytes:
    """Return the sound of a file; what it will take is counted in `memory`.

    Raises RequestRefused when it is no audio file that can be decoded, or too long.
    """
    if is_plain_wav(file):
        memory.take(decoded_bytes(file))
        return await asyncio.to_thread(decode_wav, file)
    kind = audio_type(file)
    if kind is None:
        known = ", ".join(sorted({entry[2].partition("/")[2] for entry in _BEGINNINGS}))
        raise _unreadable(f"file is no audio file of a known type ({known})")
    try:
        pcm = await decoders.decode(file, kind, MAX_AUDIO_S)
    except DecodingFailed as exc:
        if exc.code == "decoders_busy":
            raise RequestRefused(503, str(exc), code=exc.code, retry_after_s=RETRY_AFTER_S) from exc
        raise _unreadable(f"file: {exc}") from exc
    memory.take(len(pcm))
    return pcm


def audio_type(file: bytes) -> str | None:
    """Return the MIME type of a file by its first bytes; None when it has none of audio."""
    return next((kind for at, mark, kind in _BEGINNINGS if file[at : at + len(mark)] == mark), None)


def is_plain_wav(file: bytes) -> bool:
    """Tell whether `decode_wav` can read a file."""
    try:
        with wave.open(io.BytesIO(file), "rb") as wav:
            return wav.getsampwidth() in _KINDS
    except (wave.Error, EOFError):
        return False


def decoded_bytes(file: bytes) -> int:
    """Return how much PCM a plain WAV file will be. Raises RequestRefused when too much."""
    with wave.open(io.BytesIO(file), "rb") as wav:
        return int(_seconds(wav, file) * _SECOND_BYTES)


def decode_wav(file: bytes) -> bytes:
    """Return the sound of a plain WAV file, all channels in one. Blocks for up to a second.

    Raises RequestRefused when it is too long.
    """
    with wave.open(io.BytesIO(file), "rb") as wav:
        _seconds(wav, file)
        width, channels, rate_hz = wav.getsampwidth(), wav.getnchannels(), wav.getframerate()
        frames = wav.readframes(wav.getnframes())
    frames = frames[: len(frames) // (width * channels) * width * channels]
    if width == 3:
        # The two upper bytes of each sample are its 16-bit value.
        frames = np.frombuffer(frames, np.uint8).reshape(-1, 3)[:, 1:].tobytes()
        width = 2
    samples = np.frombuffer(frames, _KINDS[width]).reshape(-1, channels)
    mono = samples.mean(axis=1, dtype=np.float32)
    if width == 1:
        mono -= 128
    mono *= _SCALES[width]
    resampled = soxr.resample(np.rint(mono).astype(np.int16), rate_hz, STT_SAMPLE_RATE_HZ)
    pcm: bytes = resampled.astype("<i2").tobytes()
    return pcm


def _seconds(wav: wave.Wave_read, file: bytes) -> float:
    rate_hz, width = wav.getframerate(), wav.getsampwidth()
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        text = f"file has {rate_hz} samples a second, not {MIN_RATE_HZ} to {MAX_RATE_HZ}"
        raise _unreadable(text)
    # A file that was streamed names more than it holds.
    held = len(file) // (width * wav.getnchannels())
    seconds = min(wav.getnframes(), held) / rate_hz
    if seconds > MAX_AUDIO_S:
        text = f"file is {seconds:.0f} s long, the limit is {MAX_AUDIO_S} s"
        raise RequestRefused(413, text, code="file_too_large", param="file")
    return seconds


def _unreadable(text: str) -> RequestRefused:
    return RequestRefused(400, text, code="invalid_audio_file", param="file")
