"""Recordings to say: WAV files and where the speech ends in them."""

from pathlib import Path
from typing import NamedTuple

from antiphon.sound import speech_end_ms
from antiphon_proto import frames
from antiphon_proto.audio import Resampler, read_wav
from antiphon_proto.errors import AntiphonError


class BadRecording(AntiphonError):
    """Raised when a file is not a recording that can be sent."""

    code = "bad_recording"


class Recording(NamedTuple):
    """Something to say, PCM16 mono."""

    name: str
    pcm: bytes
    sample_rate_hz: int
    speech_end_ms: float | None
    """Where the speech ends in it; None when it is silent."""


def load(path: Path, *, end_ms: float | None = None) -> Recording:
    """Return the recording in a 16-bit WAV file; `end_ms`: where its speech ends, if known.

    Raises BadRecording.
    """
    try:
        pcm, rate = read_wav(path)
    except OSError as exc:
        raise BadRecording(f"cannot read {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise BadRecording(str(exc)) from exc
    if not frames.MIN_SAMPLE_RATE_HZ <= rate <= frames.MAX_SAMPLE_RATE_HZ:
        limits = f"{frames.MIN_SAMPLE_RATE_HZ}..{frames.MAX_SAMPLE_RATE_HZ}"
        raise BadRecording(f"{path} has {rate} Hz, outside {limits}")
    if not pcm:
        raise BadRecording(f"{path} holds no audio")
    if end_ms is None:
        end_ms = speech_end_ms(pcm, rate)
    return Recording(path.name, pcm, rate, end_ms)


def resampled(recording: Recording, sample_rate_hz: int) -> Recording:
    """Return the recording at another sample rate."""
    pcm = Resampler(recording.sample_rate_hz, sample_rate_hz).feed(recording.pcm, last=True)
    return recording._replace(pcm=pcm, sample_rate_hz=sample_rate_hz)
