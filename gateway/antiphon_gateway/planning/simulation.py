"""So many conversations on one pool, in simulated time, by the scheduler of production."""

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from antiphon_gateway.dispatch.actions import Cancel, Connect, Deliver, Send
from antiphon_gateway.dispatch.load import load
from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.dispatch.scheduler import Outcome as Action
from antiphon_gateway.dispatch.scheduler import Scheduler
from antiphon_gateway.planning import costs
from antiphon_gateway.planning.clock import Clock
from antiphon_gateway.planning.servers import Cores, Part, Server
from antiphon_gateway.planning.talker import Talker, Turn, Work, clauses
from antiphon_gateway.speculation import has_room
from antiphon_proto.messages import (
    STAGES,
    AudioDelta,
    Command,
    Done,
    Failed,
    Finished,
    Heartbeat,
    Job,
    Result,
    ResultBody,
)
from antiphon_proto.planning import Outcome, Question

WARM_MS = 15_000.0
"""Everybody has begun, at moments spread over a mean turn, and has been answered."""
LEAST_MS = 60_000.0
MOST_MS = 900_000.0
TURNS = 1_000
"""So many answers are awaited, within the limits above, before the percentile is believed."""
_SHARE = 0.05
_DEVIATIONS = 3.5
"""A run that is only to tell whether the bar is kept ends early where the shares of late answers
and of those with gaps are so many of their standard deviations from what may be."""
_FEW = 200
_BRIEF_MS = 10_000.0
_LOOK_MS = 5_000.0
_TICK_MS = 500.0
_BEAT_MS = 2_000.0
"""Both seldom, because nothing is lost or late in here but budgets of seconds."""
_GATEWAY = "gateway-0"
_STANDSTILL_MS = 60_000.0
"""Stands for the endless wait at a process that is asked for more than all its time."""


class Simulation:
    """One pool, and the talkers that are its. It is what a talker takes for a gateway."""

    def __init__(self, question: Question, count: int, gateways: int) -> None:
        machines, figures = question.machines, question.figures
        self.clock = Clock()
        self.turns: list[Turn] = []
        self._machines, self._figures = machines, figures
        self._scheduler = Scheduler(_GATEWAY)
        self._listeners: dict[str, Callable[[ResultBody], None]] = {}
        self._work: dict[str, Work] = {}
        self._indices: dict[tuple[str, int], int] = {}
        self._jobs = self._jobs_before = 0
        self._since_ms = 0.0
        self._gateway_free_ms = 0.0
        self._bar_ms, self._most_gaps = question.p95_ms, question.most_gaps
        self._gateways = gateways
        self._gateway_cores = count * figures.gateway_ms / 1000
        self._gateway_busy = self._gateway_cores / gateways
        self.cores = Cores(machines.cores, self._gateway_cores)
        self._way_ms = costs.TCP_MS + costs.NETWORK_MS if machines.networked else costs.IPC_MS
        self.servers: dict[str, Server] = {}
        for stage in STAGES:
            for index in range(machines.workers[stage]):
                name = f"{stage}-{index}"
                engine = figures.engines[stage]
                self.servers[name] = Server(
                    name, stage, engine, self.clock, self.cores, self._ended
                )
        self._beat()
        self._tick()
        replies = [
            clauses(reply, question.conversation.first_clause_words)
            for reply in question.conversation.replies
        ]
        self.talkers = [
            Talker(
                f"s{number}",
                question.conversation,
                replies,
                self,
                random.Random(f"{question.seed} {number}"),
            )
            for number in range(count)
        ]

    def run(self, *, briefly: bool = False) -> Outcome:
        """Until there are turns enough; briefly: until it is clear whether they keep the bar."""
        self.clock.run(WARM_MS)
        self.turns.clear()
        for server in self.servers.values():
            server.job_ms = server.core_ms = 0.0
        self._jobs_before, self._since_ms = self._jobs, self.clock.now_ms
        while self._passed_ms < MOST_MS:
            self.clock.run(self.clock.now_ms + _LOOK_MS)
            enough = self._passed_ms >= LEAST_MS and len(self.turns) >= TURNS
            if enough or (briefly and self._is_clear()):
                break
        return self._outcome()

    def _is_clear(self) -> bool:
        waits_ms = self._waits_ms()
        count = len(waits_ms)
        if count < min(_FEW, TURNS) or self._passed_ms < _BRIEF_MS:
            return False
        late = sum(wait_ms > self._bar_ms for wait_ms in waits_ms) / count
        excess = max(
            (share - most) / math.sqrt(most * (1 - most) / count)
            for share, most in ((late, _SHARE), (self._gap_share, self._most_gaps))
            if 0 < most < 1
        )
        return abs(excess) > _DEVIATIONS

    def _waits_ms(self) -> list[float]:
        """Return how long answers were waited for; whoever waits beyond the bar has waited."""
        unanswered_ms = (talker.waits_ms for talker in self.talkers)
        return [
            *(turn.wait_ms for turn in self.turns),
            *(wait_ms for wait_ms in unanswered_ms if wait_ms > self._bar_ms),
        ]

    @property
    def _gap_share(self) -> float:
        return sum(turn.gap for turn in self.turns) / max(1, len(self.turns))

    def _outcome(self) -> Outcome:
        waits_ms = self._waits_ms()
        p50_ms, p95_ms = np.percentile(waits_ms, (50, 95), method="higher") if waits_ms else (0, 0)
        return Outcome(
            conversations=len(self.talkers),
            turns=len(self.turns),
            p50_ms=_finite(p50_ms),
            p95_ms=_finite(p95_ms),
            gap_share=self._gap_share,
            busy=self._busy(),
            gateways=self._gateways,
        )

    def _busy(self) -> dict[str, float]:
        """Return how much of each part was used."""
        busy: dict[str, float] = {}
        cores = self._always_cores
        for stage in STAGES:
            servers = [server for server in self.servers.values() if server.stage == stage]
            slots = sum(server.engine.slots for server in servers)
            busy[stage] = sum(server.job_ms for server in servers) / self._passed_ms / slots
            cores += sum(server.core_ms for server in servers) / self._passed_ms
        busy["gateway"] = self._gateway_busy
        if self._machines.dispatchers:
            busy["dispatcher"] = self._dispatcher_busy
        busy["cores"] = cores / self._machines.cores
        return {part: round(share, 3) for part, share in busy.items()}

    # --- what talkers ask ------------------------------------------------------------------

    def ask(
        self,
        session_id: str,
        command: Command,
        work: Work,
        *,
        budget_ms: int,
        urgent: bool,
        listener: Callable[[ResultBody], None],
    ) -> str:
        """Begin a job. Returns its id."""
        self._jobs += 1
        job_id = f"{session_id}-{self._jobs}"
        self._listeners[job_id] = listener
        self._work[job_id] = work
        request = Request(
            job_id=job_id,
            session_id=session_id,
            turn_id=1,
            revision=0,
            command=command,
            budget_ms=budget_ms,
            urgent=urgent,
        )
        self._perform(self._scheduler.submit(request, self._now))
        return job_id

    def cancel(self, job_id: str) -> None:
        """End a job."""
        if self._listeners.pop(job_id, None):
            self._work.pop(job_id, None)
            self._perform(self._scheduler.cancel([job_id], self._now))

    def has_room(self, most_wait_ms: float) -> bool:
        """Tell whether no stage lets jobs wait for longer."""
        loads = (load(self._scheduler.pool, stage, self._now) for stage in STAGES)
        return has_room(loads, int(most_wait_ms))

    def hop(self, event: Callable[[], None]) -> None:
        """Have an event once the gateway has passed something on: one thing after the other."""
        passed_ms = self.clock.now_ms + self._held_up(self._figures.hop_ms, self._gateway_busy)
        self._gateway_free_ms = max(self._gateway_free_ms, passed_ms)
        self.clock.after(self._gateway_free_ms - self.clock.now_ms, event)

    def answered(self, turn: Turn) -> None:
        """Count a turn."""
        self.turns.append(turn)

    # --- the pool --------------------------------------------------------------------------

    @property
    def _now(self) -> int:
        return int(self.clock.now_ms)

    @property
    def _passed_ms(self) -> float:
        return self.clock.now_ms - self._since_ms

    @property
    def _always_cores(self) -> float:
        dispatchers = self._machines.dispatchers
        return self._gateway_cores + (dispatchers * self._dispatcher_busy if dispatchers else 0.0)

    @property
    def _dispatcher_busy(self) -> float:
        jobs = self._jobs - self._jobs_before
        busy_ms = jobs * costs.DISPATCHER_JOB_MS / self._machines.dispatchers
        return busy_ms / max(_LOOK_MS, self._passed_ms)

    def _held_up(self, alone_ms: float, busy: float) -> float:
        """Return how long processor work takes in a process that is so busy with other work."""
        busy *= self.cores.stretch
        return alone_ms * self.cores.stretch / (1 - busy) if busy < 1 else _STANDSTILL_MS

    def _job_way_ms(self) -> float:
        if not self._machines.dispatchers:
            return self._way_ms
        held_up_ms = self._held_up(costs.DISPATCHER_JOB_MS, self._dispatcher_busy)
        return self._way_ms + costs.DISPATCHER_MS + held_up_ms

    def _perform(self, actions: Sequence[Action]) -> None:
        waiting = deque(actions)
        while waiting:
            action = waiting.popleft()
            if isinstance(action, Send):
                self.clock.after(
                    self._job_way_ms(), partial(self._begin, action.worker_id, action.job)
                )
            elif isinstance(action, Deliver):
                self._deliver(action)
            elif isinstance(action, Cancel):
                for job_id in action.job_ids:
                    for server in self.servers.values():
                        server.drop(job_id, action.through_attempt)
            elif isinstance(action, Connect):
                name = action.worker_id
                waiting.extend(self._scheduler.worker_connected(name, name, self._now))

    def _deliver(self, deliver: Deliver) -> None:
        if listener := self._listeners.get(deliver.job_id):
            body = deliver.result.body

            def heard() -> None:
                if deliver.job_id in self._listeners:
                    if isinstance(body, Done | Failed):
                        del self._listeners[deliver.job_id]
                        self._work.pop(deliver.job_id, None)
                    listener(body)

            self.hop(heard)

    def _begin(self, worker_id: str, job: Job) -> None:
        work = self._work.get(job.job_id, ())
        parts = [Part(None, lambda: None)]
        parts += [Part(steps, partial(self._step, job, body)) for steps, body in work]
        self._indices[job.job_id, job.attempt] = 0
        self.servers[worker_id].take(job, parts)

    def _step(self, job: Job, body: ResultBody | None) -> None:
        if body is None:
            return
        result = Result(
            job_id=job.job_id,
            session_id=job.session_id,
            turn_id=job.turn_id,
            revision=job.revision,
            attempt=job.attempt,
            index=self._indices[job.job_id, job.attempt],
            body=body,
        )
        self._indices[job.job_id, job.attempt] += 1
        payload = bytes(2) if isinstance(body, AudioDelta) else b""
        way_ms = self._way_ms

        def arrive() -> None:
            self._perform(self._scheduler.result(result, payload, self._now))

        self.clock.after(way_ms, arrive)

    def _ended(self, server: Server, job: Job) -> None:
        self._step(job, Done(engine_ms=0.0))
        self._indices.pop((job.job_id, job.attempt))
        name = server.worker_id
        finished = Finished(
            worker_id=name, incarnation=name, job_id=job.job_id, attempt=job.attempt
        )
        self.clock.after(
            self._way_ms, lambda: self._perform(self._scheduler.status(finished, self._now))
        )

    def _beat(self) -> None:
        for name, server in self.servers.items():
            beat = Heartbeat(
                worker_id=name,
                incarnation=name,
                stage=server.stage,
                endpoint="",
                slots=server.engine.slots,
                engine=server.engine.engine,
                model=server.engine.model,
                pid=0,
                running=tuple(server.works),
            )
            self._perform(self._scheduler.status(beat, self._now))
        self.clock.after(_BEAT_MS, self._beat)

    def _tick(self) -> None:
        self.cores.set_always(self._always_cores)
        self._perform(self._scheduler.tick(self._now))
        self.clock.after(_TICK_MS, self._tick)


def _finite(wait_ms: float) -> float | None:
    return round(float(wait_ms), 1) if math.isfinite(wait_ms) else None
