"""Speech to text that hears nothing: a fixed transcript after a fixed time."""

import asyncio
import time
from collections.abc import AsyncGenerator

from antiphon_proto.messages import Job, PredictTurnEnd, Transcript
from antiphon_workers.engine import Engine, Step


class SimulatedStt(Engine):
    """Answers `simulated.transcript` after `simulated.stt_ms`; no audio gives no text."""

    stage = "stt"

    def load(self) -> None:
        """Take `simulated.load_ms`."""
        time.sleep(self.config.simulated.load_ms / 1000)

    async def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield the one transcript; of the end of a turn nothing is known."""
        if isinstance(job.command, PredictTurnEnd):
            return
        await asyncio.sleep(self.config.simulated.stt_ms / 1000)
        yield Transcript(text=self.config.simulated.transcript if payload else ""), b""
