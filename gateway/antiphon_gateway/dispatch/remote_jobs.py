"""The jobs of a gateway whose pool is in another process: inputs and the time in, actions out."""

from antiphon_gateway.dispatch.actions import Ask, JobAction
from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.jobs import Jobs
from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.dispatch.state import absent
from antiphon_proto.messages import (
    DispatchRequest,
    GatewayBeat,
    Notice,
    PoolState,
    Result,
    Stage,
    StageState,
)

BEAT_MS = 200
SILENCE_MS = 1_500
"""A dispatcher that has not answered for so long is gone, as far as anybody is told."""


class RemoteJobs:
    """Jobs, and what the dispatcher last said of itself and its workers."""

    def __init__(self, gateway: str) -> None:
        """`gateway` is the name that dispatcher and workers know it by."""
        self.counters = Counters()
        self._jobs = Jobs(gateway, self.counters)
        self._gateway = gateway
        self._pool: PoolState | None = None
        self._heard_ms = 0
        self._beat_ms = -BEAT_MS
        self._incomplete = False
        self.alone = False
        """Whether the last beat found no dispatcher."""

    @property
    def unfinished(self) -> int:
        """Jobs that are not over."""
        return len(self._jobs)

    def submit(self, request: Request, now_ms: int) -> list[JobAction]:
        """Take a job. Raises ValueError when its id is in use."""
        out: list[JobAction] = []
        self._jobs.submit(request, now_ms, out)
        return out

    def cancel(self, job_ids: list[str], now_ms: int) -> list[JobAction]:
        """Forget jobs; nothing more of them is delivered, not even a terminal result."""
        out: list[JobAction] = []
        self._jobs.cancel(job_ids, out)
        return out

    def result(self, result: Result, payload: bytes, now_ms: int) -> list[JobAction]:
        """A worker made a step of a job."""
        out: list[JobAction] = []
        self._jobs.result(result, payload, now_ms, out)
        return out

    def notice(self, notice: Notice, now_ms: int) -> list[JobAction]:
        """The dispatcher said something."""
        out: list[JobAction] = []
        self._heard_ms = now_ms
        if not isinstance(notice, PoolState):
            self._jobs.notice(notice, now_ms, out)
            return out
        restarted = self._pool is None or self._pool.incarnation != notice.incarnation
        self._pool = notice
        self.counters.take(notice.counts, restarted=restarted)
        if restarted or self._incomplete:
            self._incomplete = False
            self._jobs.ask_again(now_ms, out)
        else:
            self._jobs.unknown(notice.unknown, now_ms)
        return out

    def unasked(self, request: DispatchRequest) -> None:
        """A request met a full pipe or no peer: it is made again when the dispatcher answers."""
        if isinstance(request, GatewayBeat):
            self.alone = True
        else:
            self._incomplete = True

    def tick(self, now_ms: int) -> list[JobAction]:
        """Time passed. Call about ten times a second."""
        out: list[JobAction] = []
        self._jobs.tick(now_ms, out)
        if self.alone or now_ms - self._beat_ms >= BEAT_MS:
            self.alone = False
            self._beat_ms = now_ms
            out.append(Ask(GatewayBeat(gateway=self._gateway, jobs=self._jobs.open())))
        return out

    def state(self, stage: Stage, now_ms: int) -> StageState:
        """Return what the dispatcher last said of a stage, or why nothing is known."""
        if self._pool is None:
            return absent(stage, "the dispatcher has not answered yet")
        if now_ms - self._heard_ms > SILENCE_MS:
            return absent(stage, "the dispatcher does not answer")
        return next(
            (state for state in self._pool.stages if state.stage == stage),
            absent(stage, "the dispatcher does not serve it"),
        )
