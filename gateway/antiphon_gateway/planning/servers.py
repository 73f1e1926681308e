"""Workers and the processor cores they share, as flows: the more jobs, the slower each of them.

A job is a row of parts: what comes before the first result, then steps. How fast a part goes
follows from how many jobs its worker holds, as measured, and from how many cores all processes
together want: where they want more than there are, each gets its share.
"""

import heapq
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from antiphon_gateway.planning.clock import Clock
from antiphon_proto.messages import Job, Stage
from antiphon_proto.planning import Engine, Point

_FIRST, _STEPS = _KINDS = (0, 1)
"""Of parts: what comes before the first result, and steps."""
_NO_TIME_MS = 1e-6
"""What is left of a part that is done: clocks of floating point do not meet to the last bit."""


class Part(NamedTuple):
    """Of a job: steps, or what comes before them; and what happens when it is done."""

    steps: float | None
    """None: the wait for the first result."""
    done: Callable[[], None]


def point(points: Sequence[Point], jobs: int) -> Point:
    """Return how a worker is with so many jobs, by the straight line between measurements.

    With more than were measured a worker does not do more in all: each job takes longer.
    """
    place = bisect_left(points, jobs, key=lambda one: one.jobs)
    if place == len(points):
        last = points[-1]
        more = jobs / last.jobs
        return Point(
            jobs=jobs,
            first_ms=last.first_ms * more,
            step_ms=last.step_ms * more,
            cores=last.cores,
        )
    above = points[place]
    if above.jobs == jobs or place == 0:
        return above
    below = points[place - 1]
    share = (jobs - below.jobs) / (above.jobs - below.jobs)

    def between(low: float, high: float) -> float:
        return low + share * (high - low)

    return Point(
        jobs=jobs,
        first_ms=between(below.first_ms, above.first_ms),
        step_ms=between(below.step_ms, above.step_ms),
        cores=between(below.cores, above.cores),
    )


class Cores:
    """The processor cores that some workers and the gateways have together."""

    def __init__(self, count: float, always: float) -> None:
        """`always`: cores that are used all the time."""
        self.stretch = 1.0
        """By how much processor work takes longer than alone."""
        self._count = count
        self._always = self._wanted = always
        self._workers: list[Server] = []

    def add(self, worker: "Server") -> None:
        """Let a worker use them."""
        self._workers.append(worker)

    def set_always(self, cores: float) -> None:
        """So many cores are used all the time from now on."""
        more, self._always = cores - self._always, cores
        self._share(more, ())

    def share(self, changed: "Server", more: float) -> None:
        """The jobs of a worker have changed, and it wants so many cores more: give all a pace."""
        self._share(more, (changed,))

    def _share(self, more: float, changed: "Sequence[Server]") -> None:
        self._wanted += more
        # Sums of floating point drift: what is the same must be equal.
        stretch = round(max(1.0, self._wanted / self._count), 9)
        workers = self._workers if stretch != self.stretch else changed
        self.stretch = stretch
        for worker in workers:
            worker.set_pace()


@dataclass(slots=True)
class _Work:
    job: Job
    parts: deque[Part]
    wanted: bool = True


class Server:
    """One worker process.

    Of parts of one kind all go on at the same pace, so a part is done when what such a part would
    have got done since the beginning of time has grown by its steps.
    """

    def __init__(
        self,
        worker_id: str,
        stage: Stage,
        engine: Engine,
        clock: Clock,
        cores: Cores,
        ended: Callable[["Server", Job], None],
    ) -> None:
        """`ended` is told of each job when it is over, wanted or not."""
        self.worker_id = worker_id
        self.stage = stage
        self.engine = engine
        self.works: dict[str, _Work] = {}
        self.job_ms = 0.0
        """Jobs held, summed over time."""
        self.core_ms = 0.0
        """Cores used, summed over time."""
        self._clock = clock
        self._cores = cores
        self._ended = ended
        self._points = [point(engine.points, jobs) for jobs in range(1, engine.slots + 1)]
        self.now = self._points[0]
        self._wants = 0.0
        self._paces_ms = [1.0, 1.0]
        self._done = [0.0, 0.0]
        self._queues: tuple[list[tuple[float, int, _Work]], ...] = ([], [])
        self._count = 0
        self._since_ms = 0.0
        self._version = 0
        cores.add(self)

    def take(self, job: Job, parts: Sequence[Part]) -> None:
        """Begin a job."""
        self._advance()
        work = _Work(job, deque(parts))
        self.works[job.job_id] = work
        self._begin_part(work)
        self._changed()

    def drop(self, job_id: str, through_attempt: int = 0) -> None:
        """Nobody wants a job any more, or its tries up to one: it ends with its running part."""
        work = self.works.get(job_id)
        if work and work.job.attempt <= (through_attempt or work.job.attempt):
            work.wanted = False

    def set_pace(self) -> None:
        """Go on with what there is now, and wake up when the next part is done."""
        self._advance()
        # Only what the processor does takes longer where others want it too.
        slower = 1.0 + min(1.0, self.now.cores) * (self._cores.stretch - 1.0)
        alone_ms = (self.now.first_ms, self.now.step_ms)
        self._paces_ms = [max(each_ms * slower, _NO_TIME_MS) for each_ms in alone_ms]
        self._version += 1
        if self.works:
            version = self._version
            next_ms = min(self._left_ms(kind) for kind in _KINDS if self._queues[kind])
            self._clock.after(max(0.0, next_ms), lambda: self._wake(version))

    def _begin_part(self, work: _Work) -> None:
        steps = work.parts[0].steps
        kind = _FIRST if steps is None else _STEPS
        self._count += 1
        entry = (self._done[kind] + (1.0 if steps is None else steps), self._count, work)
        heapq.heappush(self._queues[kind], entry)

    def _left_ms(self, kind: int) -> float:
        """Return when the next part of a kind is done."""
        return (self._queues[kind][0][0] - self._done[kind]) * self._paces_ms[kind]

    def _advance(self) -> None:
        passed_ms = self._clock.now_ms - self._since_ms
        self._since_ms = self._clock.now_ms
        if passed_ms and self.works:
            self.job_ms += passed_ms * len(self.works)
            self.core_ms += passed_ms * self.now.cores
            for kind in _KINDS:
                self._done[kind] += passed_ms / self._paces_ms[kind]

    def _wake(self, version: int) -> None:
        if version != self._version:
            return
        self._advance()
        for kind in _KINDS:
            while self._queues[kind] and self._left_ms(kind) <= _NO_TIME_MS:
                self._end_part(heapq.heappop(self._queues[kind])[2])
        self._changed()

    def _end_part(self, work: _Work) -> None:
        part = work.parts.popleft()
        if work.wanted:
            part.done()
        if work.parts and work.wanted:
            self._begin_part(work)
        else:
            del self.works[work.job.job_id]
            self._ended(self, work.job)

    def _changed(self) -> None:
        jobs = max(1, len(self.works))
        self.now = self._points[min(jobs, len(self._points)) - 1]
        before, self._wants = self._wants, self.now.cores if self.works else 0.0
        self._cores.share(self, self._wants - before)
