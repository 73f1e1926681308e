"""A voice that says nothing: a tone as long as the text, the same for every attempt of a job."""

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import AsyncGenerator

import numpy as np

from antiphon_proto.messages import AudioDelta, Job, SpokenWord, Synthesize
from antiphon_workers.engine import Engine, Step

SAMPLE_RATE_HZ = 24_000
MS_PER_CHARACTER = 65
"""About the pace of English speech."""

logger = logging.getLogger(__name__)

_PEAK = 8_000
_SHORTEST_PERIOD = 48
_PERIODS = 72


def tone(job_id: str, text: str, speed: float = 1.0, pitch_hz: int = 0) -> bytes:
    """Return all audio of a job as PCM16 at `SAMPLE_RATE_HZ`.

    Unless `pitch_hz` is given, the pitch (200-500 Hz) and the phase follow from `job_id`, so a test
    can tell whose sample it hears. One cycle is computed and repeated: every sample is the same
    however audio is chunked.
    """
    if not text.strip():
        return b""
    if pitch_hz:
        cycle_samples, periods, phase = SAMPLE_RATE_HZ, pitch_hz, 0
    else:
        digest = hashlib.sha256(job_id.encode()).digest()
        cycle_samples, periods = _SHORTEST_PERIOD + digest[0] % _PERIODS, 1
        phase = digest[1] % cycle_samples
    count = int(len(text) * MS_PER_CHARACTER * SAMPLE_RATE_HZ / 1000 / speed)
    turns = periods * np.arange(cycle_samples) / cycle_samples
    cycle = np.rint(_PEAK * np.sin(2 * np.pi * turns)).astype("<i2")
    whole = np.tile(cycle, (phase + count) // cycle_samples + 1)
    pcm: bytes = whole[phase : phase + count].tobytes()
    return pcm


def word_times(text: str, samples: int) -> list[SpokenWord]:
    """Return the words of a text that `samples` speak, each character as long as any other."""
    words: list[SpokenWord] = []
    last = 0
    for word in re.finditer(r"\S+", text):
        start, end = (edge * samples // len(text) for edge in word.span())
        words.append(
            SpokenWord(end_character=word.end(), end_sample=end, pause_samples=start - last)
        )
        last = end
    return words


def hang() -> None:
    """Never return, and keep every other thread from running: the regular expression backtracks
    through 2^60 ways without giving up the interpreter's lock."""
    re.match(r"(a+)+$", "a" * 60 + "b")


class SimulatedTts(Engine):
    """Plays `tone` in chunks of `tts_chunk_ms`, as fast as `tts_real_time_factor` allows."""

    stage = "tts"

    @property
    def step_limit_ms(self) -> int:
        """As configured."""
        return self.config.simulated.step_limit_ms

    def load(self) -> None:
        """Take `simulated.load_ms`."""
        time.sleep(self.config.simulated.load_ms / 1000)

    async def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield the tone's chunks."""
        command = job.command
        assert isinstance(command, Synthesize)
        settings = self.config.simulated
        if settings.hang_text and settings.hang_text in command.text and job.attempt == 1:
            logger.warning("hanging")
            hang()
        pcm = tone(job.job_id, command.text, command.speed, settings.tone_hz)
        chunk_ms = max(settings.tts_chunk_ms, 1)
        chunk_bytes = 2 * chunk_ms * SAMPLE_RATE_HZ // 1000
        words = word_times(command.text, len(pcm) // 2)
        await asyncio.sleep(settings.tts_first_audio_ms / 1000)
        for offset in range(0, len(pcm), chunk_bytes):
            if offset:
                await asyncio.sleep(chunk_ms * settings.tts_real_time_factor / 1000)
            chunk = pcm[offset : offset + chunk_bytes]
            first, last = offset // 2, (offset + len(chunk)) // 2
            spoken = tuple(word for word in words if first < word.end_sample <= last)
            yield AudioDelta(sample_rate_hz=SAMPLE_RATE_HZ, words=spoken), chunk
