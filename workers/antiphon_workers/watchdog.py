"""Ends a worker that hangs, so that its supervisor starts a sound one."""

import asyncio
import faulthandler
import logging
import os

from antiphon_proto.messages import Job

EXIT_HUNG = 3
STANDSTILL_S = 15.0
"""An event loop that stood still for so long will not go on."""
CANCEL_PATIENCE_S = 30.0
"""An engine that works on a cancelled job for so long will not stop."""
LEAST_S = 1.0

logger = logging.getLogger(__name__)


class Watchdog:
    """Must be told that the worker lives. It waits in a thread of C, which needs no interpreter, so
    it also ends a worker whose engine keeps the interpreter's lock."""

    def __init__(self, step_limit_ms: int) -> None:
        """`step_limit_ms` is the engine's own limit; 0: the usual ones."""
        limit_s = max(LEAST_S, step_limit_ms / 1000) if step_limit_ms else None
        self._standstill_s = limit_s or STANDSTILL_S
        self._patience_s = limit_s or CANCEL_PATIENCE_S

    def alive(self) -> None:
        """The event loop runs. The process ends with a traceback if this is not called again."""
        faulthandler.dump_traceback_later(self._standstill_s, exit=True)

    def stop(self) -> None:
        """Nothing is expected any more."""
        faulthandler.cancel_dump_traceback_later()

    def expect_end(self, task: asyncio.Task[None], job: Job) -> None:
        """The task of a cancelled job must end within the patience, or the process does."""
        timer = asyncio.get_running_loop().call_later(self._patience_s, self._end, job)
        task.add_done_callback(lambda _: timer.cancel())

    def _end(self, job: Job) -> None:
        of_job = {
            "session_id": job.session_id,
            "turn_id": job.turn_id,
            "revision": job.revision,
            "job_id": job.job_id,
        }
        logger.error("engine does not stop", extra={"waited_s": self._patience_s, **of_job})
        os._exit(EXIT_HUNG)
