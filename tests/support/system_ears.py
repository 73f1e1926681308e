"""A listener that was not part of the conversation: is what was said the text it was said for?"""

import wave
from pathlib import Path

import faster_whisper
import numpy as np

from antiphon_proto import models
from antiphon_proto.audio import Resampler, pcm16_to_float, read_wav
from antiphon_proto.config import Config

_EARS_HZ = 16_000


class Ears:
    """faster-whisper on whole recordings, as its own documentation uses it."""

    def __init__(self, model: str = "tiny.en") -> None:
        directory = models.find(model, Config().models.directory)
        self._model = faster_whisper.WhisperModel(
            str(directory), device="cpu", compute_type="int8", cpu_threads=2
        )

    def hear(self, pcm: bytes, sample_rate_hz: int) -> str:
        """Return what PCM16 mono says."""
        samples = pcm16_to_float(Resampler(sample_rate_hz, _EARS_HZ).feed(pcm, last=True))
        quiet = np.zeros(_EARS_HZ // 4, np.float32)
        segments, _ = self._model.transcribe(
            np.concatenate([quiet, samples, quiet]), beam_size=5, without_timestamps=True
        )
        return " ".join(segment.text.strip() for segment in segments)

    def hear_file(self, path: Path) -> str:
        """Return what a WAV file says."""
        return self.hear(*read_wav(path))


def seconds(path: Path) -> float:
    """Return the length of a WAV file."""
    with wave.open(str(path)) as reader:
        return reader.getnframes() / reader.getframerate()
