"""Speech to text that hears nothing: a fixed transcript after a fixed time."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor

from antiphon_proto.config import Config
from antiphon_proto.messages import Job, PredictTurnEnd, Transcript
from antiphon_workers.batching import Batcher
from antiphon_workers.engine import Engine, Step


class SimulatedStt(Engine):
    """Answers `simulated.transcript` after `simulated.stt_ms`; no audio gives no text.

    A batch takes that time once and `simulated.stt_batched_ms` for each transcript after the first.
    """

    stage = "stt"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        settings = config.stt
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="simulated")
        self._batcher = Batcher(
            self._pass, self._executor, most=settings.batch, wait_ms=settings.batch_wait_ms
        )

    def load(self) -> None:
        """Take `simulated.load_ms`."""
        time.sleep(self.config.simulated.load_ms / 1000)

    async def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield the one transcript; of the end of a turn nothing is known."""
        if isinstance(job.command, PredictTurnEnd):
            return
        if self.config.stt.batch > 1:
            text = await self._batcher.run(payload)
        else:
            await asyncio.sleep(self.config.simulated.stt_ms / 1000)
            text = self._text(payload)
        yield Transcript(text=text), b""

    @property
    def passes(self) -> Sequence[int]:
        """Transcripts of each of the last batches."""
        return self._batcher.sizes

    def close(self) -> None:
        """Stop the thread."""
        self._executor.shutdown(cancel_futures=True)

    def _pass(self, payloads: Sequence[bytes]) -> list[str]:
        settings = self.config.simulated
        time.sleep((settings.stt_ms + settings.stt_batched_ms * (len(payloads) - 1)) / 1000)
        return [self._text(payload) for payload in payloads]

    def _text(self, payload: bytes) -> str:
        return self.config.simulated.transcript if payload else ""
