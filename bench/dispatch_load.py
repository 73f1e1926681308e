"""Jobs given to a dispatcher, and how long each waited."""

import asyncio
import time

from antiphon_gateway.dispatch.request import Request
from antiphon_proto.messages import Done, Failed, Result, Transcribe

BUDGET_MS = 60_000


class Load:
    """Makes jobs and counts their ends. It is also the dispatcher's observer."""

    def __init__(self, payload_bytes: int) -> None:
        self.done = 0
        self.failed = 0
        self.waits_ms: list[float] = []
        """From when a job was due until a worker was sent it."""
        self.overheads_ms: list[float] = []
        """From when a job was due to its end, less the worker's own time."""
        self.ended_one = asyncio.Event()
        self._payload = bytes(payload_bytes)
        self._due_s: dict[str, float] = {}
        self._count = 0

    @property
    def outstanding(self) -> int:
        """Jobs that are not over."""
        return len(self._due_s)

    def forget(self) -> None:
        """Count from nothing; jobs that are not over go on."""
        self.done = self.failed = 0
        self.waits_ms.clear()
        self.overheads_ms.clear()

    def request(self, due_s: float) -> Request:
        """Return a job, of a session of its own, that was due then."""
        self._count += 1
        job_id = f"job-{self._count}"
        self._due_s[job_id] = due_s
        return Request(
            job_id=job_id,
            session_id=f"session-{self._count}",
            turn_id=1,
            revision=0,
            command=Transcribe(final=True),
            payload=self._payload,
            budget_ms=BUDGET_MS,
            urgent=True,
        )

    def deliver(self, result: Result, payload: bytes) -> None:
        """Take a step of a job."""
        if not isinstance(result.body, Done | Failed):
            return
        took_ms = (time.perf_counter() - self._due_s.pop(result.job_id)) * 1000
        if isinstance(result.body, Done):
            self.done += 1
            self.overheads_ms.append(took_ms - result.body.engine_ms)
        else:
            self.failed += 1
        self.ended_one.set()

    def submitted(self, request: Request, now_ms: int) -> None:
        """Nothing."""

    def sent(self, job_id: str, now_ms: int) -> None:
        """A worker was sent a job."""
        if job_id in self._due_s:
            self.waits_ms.append((time.perf_counter() - self._due_s[job_id]) * 1000)

    def ended(self, job_id: str, outcome: str, now_ms: int) -> None:
        """Nothing: `deliver` counts."""
