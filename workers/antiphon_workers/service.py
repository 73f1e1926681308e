"""A loaded worker at work: takes jobs, refuses them, cancels them, tells the gateway about them."""

import asyncio
import logging
import os
from collections import deque
from typing import Literal

from antiphon_proto import codec
from antiphon_proto.config import Config
from antiphon_proto.errors import MalformedMessage
from antiphon_proto.messages import CancelJobs, Finished, Heartbeat, Job, Refused
from antiphon_workers import admission
from antiphon_workers.engine import Engine
from antiphon_workers.links import HEARTBEAT_MS, Links
from antiphon_workers.serving import Serving
from antiphon_workers.watchdog import Watchdog

DRAIN_S = 15.0
STEPS_TOLD = 64
"""Of a heartbeat; the newest."""
MALFORMED_TOLD = 1_000_000
"""Of a heartbeat; beyond it they are not told."""

logger = logging.getLogger(__name__)


class Service:
    """The jobs that a loaded worker holds."""

    def __init__(
        self, config: Config, links: Links, engine: Engine, group: asyncio.TaskGroup
    ) -> None:
        self._config = config
        self._links = links
        self._engine = engine
        self._group = group
        self._slots = engine.slots
        self._watchdog = Watchdog(engine.step_limit_ms)
        self._draining = False
        self._malformed = 0
        self._malformed_told = 0
        self._running: dict[tuple[str, int], Serving] = {}
        self._steps_ms: deque[int] = deque(maxlen=STEPS_TOLD)

    async def heartbeats(self) -> None:
        """Tell the gateway every `HEARTBEAT_MS` that this worker is alive and what it holds.

        A gateway that appears is told at once.
        """
        try:
            while True:
                self._watchdog.alive()
                if self._report_heartbeat():
                    await asyncio.sleep(HEARTBEAT_MS / 1000)
                else:
                    await self._links.status.writable(HEARTBEAT_MS)
        finally:
            self._watchdog.stop()

    async def jobs(self) -> None:
        """Start or refuse the jobs that arrive."""
        while True:
            for frames in await self._links.jobs.receive():
                try:
                    job, payload = codec.jobs.decode(frames)
                except MalformedMessage as exc:
                    self._count_malformed(str(exc))
                else:
                    self._take(job, payload)

    async def cancellations(self) -> None:
        """Cancel the jobs that nobody waits for any more."""
        while True:
            for frames in await self._links.control.receive():
                try:
                    message, _ = codec.control.decode(frames)
                except MalformedMessage as exc:
                    self._count_malformed(str(exc))
                else:
                    self._cancel_named(message)

    def cancel(self) -> None:
        """Cancel all jobs."""
        for serving in self._running.values():
            serving.task.cancel()

    async def drain(self) -> None:
        """Announce no slots, let the running jobs finish for `DRAIN_S`, then cancel the rest."""
        self._draining = True
        self._report_heartbeat()
        logger.info("worker draining", extra={"running": len(self._running)})
        tasks = [serving.task for serving in self._running.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=DRAIN_S)
        self.cancel()

    def _cancel_named(self, message: CancelJobs) -> None:
        for (job_id, attempt), serving in self._running.items():
            if job_id in message.job_ids and attempt <= (message.through_attempt or attempt):
                serving.task.cancel()
                self._watchdog.expect_end(serving.task, serving.job)

    def _take(self, job: Job, payload: bytes) -> None:
        key = (job.job_id, job.attempt)
        gateways = self._links.results
        fault = admission.fault(job, payload, stage=self._engine.stage, gateways=gateways)
        if fault is None and key in self._running:
            fault = f"attempt {job.attempt} of job {job.job_id} is already running"
        if fault is not None:
            self._count_malformed(fault)
            self._refuse(job, "malformed")
        elif self._draining:
            self._refuse(job, "draining")
        elif len(self._running) >= self._slots:
            self._refuse(job, "busy")
        else:
            serving = Serving(job, gateways[job.reply_to], self._steps_ms.append)
            self._running[key] = serving
            serving.task = self._group.create_task(
                serving.run(self._engine, payload), name=f"job {job.job_id}"
            )
            serving.task.add_done_callback(lambda _: self._finish(job))

    def _finish(self, job: Job) -> None:
        del self._running[job.job_id, job.attempt]
        self._links.report(
            Finished(
                worker_id=self._links.worker_id,
                incarnation=self._links.incarnation,
                job_id=job.job_id,
                attempt=job.attempt,
            )
        )

    def _refuse(self, job: Job, reason: Literal["busy", "draining", "malformed"]) -> None:
        self._links.report(
            Refused(
                worker_id=self._links.worker_id,
                incarnation=self._links.incarnation,
                job_id=job.job_id,
                attempt=job.attempt,
                reason=reason,
            )
        )

    def _count_malformed(self, fault: str) -> None:
        self._malformed += 1
        logger.warning("malformed message", extra={"fault": fault, "count": self._malformed})

    def _report_heartbeat(self) -> bool:
        """Send a heartbeat. What happened since the one before is told once. False: not sent."""
        if not self._links.report(self._heartbeat()):
            return False
        self._steps_ms.clear()
        self._malformed_told = self._malformed
        return True

    def _heartbeat(self) -> Heartbeat:
        stage = self._engine.stage
        ages_ms = tuple(serving.step_age_ms for serving in self._running.values())
        return Heartbeat(
            worker_id=self._links.worker_id,
            incarnation=self._links.incarnation,
            stage=stage,
            endpoint=self._links.endpoint,
            slots=0 if self._draining else self._slots,
            engine=self._config.stage(stage).engine,
            model=self._engine.model,
            pid=os.getpid(),
            running=tuple(job_id for job_id, _ in self._running),
            attempts=tuple(attempt for _, attempt in self._running),
            last_step_age_ms=max(ages_ms, default=0),
            step_ages_ms=ages_ms,
            steps_ms=tuple(self._steps_ms),
            load_ms=self._links.load_ms,
            voices=self._config.tts.names if stage == "tts" else (),
            languages=self._engine.languages if stage == "tts" else (),
            malformed=min(self._malformed - self._malformed_told, MALFORMED_TOLD),
        )
