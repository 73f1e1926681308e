"""Jobs and pool in one process: inputs and the time in, actions out."""

from collections import deque
from collections.abc import Iterable

from antiphon_gateway.dispatch.actions import (
    Action,
    Ask,
    Deliver,
    JobAction,
    NoteSent,
    Send,
    Tell,
    WorkerAction,
)
from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.jobs import Jobs
from antiphon_gateway.dispatch.pool import Pool
from antiphon_gateway.dispatch.request import Request
from antiphon_proto.messages import EnqueueJob, Result, Status, WithdrawJobs

Outcome = WorkerAction | Deliver | NoteSent


class Scheduler:
    """The jobs of one gateway and workers of its own."""

    def __init__(self, gateway: str) -> None:
        """Schedule for the gateway that workers know by this name."""
        self.counters = Counters()
        self.jobs = Jobs(gateway, self.counters)
        self.pool = Pool(self.counters)

    def submit(self, request: Request, now_ms: int) -> list[Outcome]:
        """Take a job. Raises ValueError when its id is in use."""
        out: list[JobAction] = []
        self.jobs.submit(request, now_ms, out)
        return self._settle(out, now_ms)

    def cancel(self, job_ids: list[str], now_ms: int) -> list[Outcome]:
        """Forget jobs; nothing more of them is delivered, not even a terminal result."""
        out: list[JobAction] = []
        self.jobs.cancel(job_ids, out)
        return self._settle(out, now_ms)

    def result(self, result: Result, payload: bytes, now_ms: int) -> list[Outcome]:
        """A worker made a step of a job."""
        out: list[JobAction] = []
        self.jobs.result(result, payload, now_ms, out)
        return self._settle(out, now_ms)

    def status(self, status: Status, now_ms: int) -> list[Outcome]:
        """Take any status message of a worker."""
        return self._settle(self.pool.status(status, now_ms), now_ms)

    def worker_connected(self, worker_id: str, incarnation: str, now_ms: int) -> list[Outcome]:
        """The job connection to a worker is open."""
        return self._settle(self.pool.worker_connected(worker_id, incarnation, now_ms), now_ms)

    def worker_lost(self, worker_id: str, incarnation: str, now_ms: int) -> list[Outcome]:
        """The job connection to a worker closed."""
        return self._settle(self.pool.worker_lost(worker_id, incarnation, now_ms), now_ms)

    def unsent(self, send: Send, now_ms: int) -> list[Outcome]:
        """A `Send` met a full pipe or no peer: the job never left."""
        return self._settle(self.pool.unsent(send, now_ms), now_ms)

    def tick(self, now_ms: int) -> list[Outcome]:
        """Time passed. Call about ten times a second."""
        out: list[JobAction] = []
        self.jobs.tick(now_ms, out)
        return self._settle([*self.pool.tick(now_ms), *out], now_ms)

    def _settle(self, actions: Iterable[Action], now_ms: int) -> list[Outcome]:
        """Pass on what jobs and pool have to say to each other; return what is for others."""
        waiting = deque(actions)
        done: list[Outcome] = []
        while waiting:
            action = waiting.popleft()
            if isinstance(action, Tell):
                out: list[JobAction] = []
                self.jobs.notice(action.notice, now_ms, out)
                waiting.extend(out)
            elif isinstance(action, Ask):
                if isinstance(action.request, EnqueueJob):
                    waiting.extend(self.pool.enqueue(action.request, action.payload, now_ms))
                elif isinstance(action.request, WithdrawJobs):
                    waiting.extend(self.pool.withdraw(action.request))
            else:
                done.append(action)
        return done
