"""One job, from the engine's first step to its terminal result."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing

from antiphon_proto import codec, log
from antiphon_proto.channel import Sender
from antiphon_proto.errors import AntiphonError
from antiphon_proto.messages import Done, Failed, Job, Result, ResultBody, TextDelta
from antiphon_workers.engine import Engine, Usage
from antiphon_workers.text_gathering import TextGathering

RESULT_WAIT_MS = 50
RESULT_PATIENCE_S = 10.0
"""A gateway that takes no result for so long is gone; its ledger will not know the job."""

logger = logging.getLogger(__name__)


class _GatewayGone(Exception):
    """Raised when no result could be sent for `RESULT_PATIENCE_S`."""


class Serving:
    """A running job: its task, its place in the result stream, and when it last made a step."""

    task: asyncio.Task[None]

    def __init__(
        self, job: Job, results: Sender, note_step_ms: Callable[[int], None] = lambda _: None
    ) -> None:
        """`note_step_ms` is told how long each step of the engine took."""
        self.job = job
        self._note_step_ms = note_step_ms
        self._results = results
        self._index = 0
        self._last_step_s = time.monotonic()
        self._blocked_s = 0.0
        self._text = TextGathering()

    @property
    def step_age_ms(self) -> int:
        """Time since the last step."""
        return int((time.monotonic() - self._last_step_s) * 1000)

    async def run(self, engine: Engine, payload: bytes) -> None:
        """Send the engine's results, then `Done` or `Failed`. Cancelled: nothing more is sent."""
        job = self.job
        log.bind(
            session_id=job.session_id,
            turn_id=job.turn_id,
            revision=job.revision,
            job_id=job.job_id,
        )
        try:
            await self._send(await self._outcome(engine, payload))
        except _GatewayGone:
            logger.warning("gateway takes no results, job dropped")

    async def _outcome(self, engine: Engine, payload: bytes) -> Done | Failed:
        started_s = time.monotonic()
        try:
            usage = await self._stream(engine, payload)
        except _GatewayGone:
            raise
        except AntiphonError as exc:
            logger.warning("job failed", extra={"code": exc.code, "reason": str(exc)})
            return Failed(code=exc.code, message=str(exc), retryable=exc.retryable)
        except Exception as exc:
            logger.exception("engine raised")
            # The text of a foreign exception may quote what the user said.
            message = f"the {engine.stage} engine raised {type(exc).__name__}"
            return Failed(code="engine_error", message=message, retryable=True)
        engine_ms = (time.monotonic() - started_s - self._blocked_s) * 1000
        logger.debug("job done", extra={"engine_ms": round(engine_ms, 1)})
        return Done(engine_ms=engine_ms, **usage._asdict())

    async def _stream(self, engine: Engine, payload: bytes) -> Usage:
        usage = Usage()
        async with aclosing(engine.run(self.job, payload)) as steps:
            async for step in steps:
                self._note_step_ms(self.step_age_ms)
                self._last_step_s = time.monotonic()
                if isinstance(step, Usage):
                    usage = step
                elif step is not None:
                    await self._send_output(*step)
        await self._send_text(self._text.take())
        return usage

    async def _send_output(self, body: ResultBody, payload: bytes) -> None:
        if isinstance(body, TextDelta):
            await self._send_text(self._text.add(body.text, self._last_step_s * 1000))
            return
        await self._send_text(self._text.take())
        await self._send(body, payload)

    async def _send_text(self, text: str) -> None:
        if text:
            await self._send(TextDelta(text=text))

    async def _send(self, body: ResultBody, payload: bytes = b"") -> None:
        """Send the next result, waiting for room. Each wait is a point of cancellation."""
        job = self.job
        result = Result(
            job_id=job.job_id,
            session_id=job.session_id,
            turn_id=job.turn_id,
            revision=job.revision,
            attempt=job.attempt,
            index=self._index,
            body=body,
        )
        frames = codec.encode(result, payload)
        started_s = time.monotonic()
        while not self._results.send(frames):
            await self._results.writable(RESULT_WAIT_MS)
            # A full pipe is the gateway's doing; the engine is not stuck.
            self._last_step_s = time.monotonic()
            if self._last_step_s - started_s > RESULT_PATIENCE_S:
                raise _GatewayGone
        self._blocked_s += time.monotonic() - started_s
        if job.attempt > 1 and not self._index:
            logger.info("first result of a job made again", extra={"attempt": job.attempt})
        self._index += 1
