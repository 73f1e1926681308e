"""An engine of another package: a voice that hums, as long as the text would take to say."""

import asyncio
from collections.abc import AsyncGenerator

import numpy as np

from antiphon_proto.messages import AudioDelta, Job, Synthesize
from antiphon_workers.engine import Engine, Step

RATE_HZ = 24_000
PITCH_HZ = 150
MS_PER_CHARACTER = 60


def hum(text: str, speed: float) -> bytes:
    """Return the whole hum as PCM16 at `RATE_HZ`; the same text gives the same samples."""
    count = int(len(text) * MS_PER_CHARACTER * RATE_HZ / 1000 / speed)
    wave = np.sin(2 * np.pi * PITCH_HZ * np.arange(count) / RATE_HZ)
    pcm: bytes = np.rint(8_000 * wave).astype("<i2").tobytes()
    return pcm


class Hum(Engine):
    """Set it with `tts.engine = "hum"`."""

    stage = "tts"

    def load(self) -> None:
        """Load the model here, and run it once. This one has none."""

    async def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield chunks of 100 ms; giving way before each is where a job is cancelled."""
        command = job.command
        assert isinstance(command, Synthesize)
        pcm = hum(command.text, command.speed)
        chunk_bytes = 2 * RATE_HZ // 10
        for at in range(0, len(pcm), chunk_bytes):
            await asyncio.sleep(0)
            yield AudioDelta(sample_rate_hz=RATE_HZ), pcm[at : at + chunk_bytes]
