"""Any speech-to-text engine with the end-of-turn model beside it."""

from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor

from antiphon_proto import models
from antiphon_proto.audio import Samples, pcm16_to_float
from antiphon_proto.config import Config
from antiphon_proto.messages import Job, PredictTurnEnd, TurnEnd
from antiphon_workers.engine import Engine, Step
from antiphon_workers.stt.smart_turn_engine import HEARD_SAMPLES, SmartTurn
from antiphon_workers.threads import steps_in_thread

TURN_END_SLOTS = 1
"""On top of `stt.slots`: a question of the end must not wait behind transcripts."""


class WithTurnEnd(Engine):
    """Answers `PredictTurnEnd` itself and leaves the other commands to an engine."""

    stage = "stt"

    def __init__(self, config: Config, engine: Engine) -> None:
        super().__init__(config)
        self._engine = engine
        self._executor = ThreadPoolExecutor(TURN_END_SLOTS, thread_name_prefix="turn-end")

    @property
    def slots(self) -> int:
        """Jobs that may run at once."""
        return self._engine.slots + TURN_END_SLOTS

    @property
    def model(self) -> str:
        """That of the engine."""
        return self._engine.model

    def load(self) -> None:
        """Load both models. Raises StartupError when one is not installed or cannot be loaded."""
        settings = self.config
        path = models.find(settings.stt.turn_end_model, settings.models.directory)
        self._smart_turn = SmartTurn(path)
        self._smart_turn.probability(pcm16_to_float(bytes(2 * HEARD_SAMPLES)))
        self._engine.load()

    def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield the one probability, or what the engine yields."""
        if isinstance(job.command, PredictTurnEnd):
            newest = payload[-2 * HEARD_SAMPLES :]
            return steps_in_thread(self._executor, self._steps(pcm16_to_float(newest)))
        return self._engine.run(job, payload)

    async def disconnect(self) -> None:
        """Close the engine's connections."""
        await self._engine.disconnect()

    def close(self) -> None:
        """Stop the thread and close the engine."""
        self._executor.shutdown(cancel_futures=True)
        self._engine.close()

    def _steps(self, audio: Samples) -> Generator[Step, None, None]:
        yield TurnEnd(probability=self._smart_turn.probability(audio)), b""
