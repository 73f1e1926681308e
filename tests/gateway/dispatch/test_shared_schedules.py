"""Random fault schedules with two gateways and a dispatcher process that dies again and again.

As in `test_fault_schedules`, whose workers and checker these are. Requests and notices take random
time too; what is under way to or from a dispatcher that dies is lost with it.
"""

import heapq
import random
from collections.abc import Callable, Sequence

import pytest

from antiphon_gateway.dispatch.actions import (
    Action,
    Ask,
    Cancel,
    Connect,
    Deliver,
    Disconnect,
    PoolAction,
    Send,
    Tell,
)
from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.pool import Pool
from antiphon_gateway.dispatch.process import UNCLAIMED_MS
from antiphon_gateway.dispatch.remote_jobs import RemoteJobs
from antiphon_gateway.dispatch.request import Request
from antiphon_proto.messages import (
    Done,
    EnqueueJob,
    GatewayBeat,
    Notice,
    PoolState,
    Result,
    Status,
    WithdrawJobs,
)

from .simulated_worker import WORKERS, SimulatedWorker
from .test_fault_schedules import FAULTS_END_MS, JOBS, SCHEDULES, History, request

BATCHES = 10
GATEWAYS = ("gateway-0", "gateway-1")


class Office:
    """One start of the dispatcher process."""

    def __init__(self, number: int) -> None:
        self.incarnation = f"d{number}"
        self.pool = Pool(Counters(), unclaimed_ms=UNCLAIMED_MS)
        self.arrival_ms: dict[str, int] = {}


class SharedWorld:
    """Gateways, the dispatcher, the workers, the messages under way and the clock."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now_ms = 0
        self.gateways = {name: RemoteJobs(name) for name in GATEWAYS}
        self.histories: dict[str, History] = {}
        self.workers: dict[tuple[str, str], SimulatedWorker] = {}
        self.office: Office | None = Office(0)
        self.restarts = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, delay_ms: int, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now_ms + delay_ms, self._count, event))

    def chance(self, probability: float) -> bool:
        return self.now_ms < FAULTS_END_MS and self.rng.random() < probability

    def run(self, until_ms: int) -> None:
        while self._events and self._events[0][0] <= until_ms:
            self.now_ms, _, event = heapq.heappop(self._events)
            event()

    # the dispatcher's life

    def kill_office(self) -> None:
        if self.office is None:
            return
        self.office = None
        for worker in self.workers.values():
            worker.linked = False
            worker.blemished = True
        self.after(self.rng.randint(50, 1_500), self.open_office)

    def open_office(self) -> None:
        self.restarts += 1
        self.office = Office(self.restarts)

    def tick(self) -> None:
        for name, jobs in self.gateways.items():
            self.perform(name, jobs.tick(self.now_ms))
        if self.office:
            self.settle(self.office, self.office.pool.tick(self.now_ms))
            self.settle(self.office, self.office.pool.drop_silent_gateways(self.now_ms))
        self.after(100, self.tick)

    # from workers

    def start(self, worker_id: str) -> None:
        incarnation = f"i{len(self.workers)}"
        self.workers[worker_id, incarnation] = SimulatedWorker(self, worker_id, incarnation)

    def heard(self, status: Status) -> None:
        if self.office:
            self.settle(self.office, self.office.pool.status(status, self.now_ms))

    def answered(self, gateway: str, result: Result, payload: bytes) -> None:
        self.perform(gateway, self.gateways[gateway].result(result, payload, self.now_ms))

    def connected(self, worker: SimulatedWorker) -> None:
        if self.office:
            pool = self.office.pool
            actions = pool.worker_connected(worker.id, worker.incarnation, self.now_ms)
            self.settle(self.office, actions)

    def disconnected(self, worker: SimulatedWorker) -> None:
        if self.office:
            pool = self.office.pool
            actions = pool.worker_lost(worker.id, worker.incarnation, self.now_ms)
            self.settle(self.office, actions)

    # between gateways and dispatcher

    def submit(self, gateway: str, job: Request) -> None:
        self.histories[job.job_id] = History(job)
        self.perform(gateway, self.gateways[gateway].submit(job, self.now_ms))

    def cancel(self, gateway: str, job_id: str) -> None:
        self.perform(gateway, self.gateways[gateway].cancel([job_id], self.now_ms))
        self.histories[job_id].cancelled = self.histories[job_id].end is None

    def perform(self, gateway: str, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Deliver):
                self.histories[action.job_id].add(action.result.body, action.payload)
            elif isinstance(action, Ask):
                if self.office is None or self.chance(0.01):
                    self.gateways[gateway].unasked(action.request)
                else:
                    self.carry(f"to {gateway}", lambda a=action: self.take(a))

    def carry(self, channel: str, event: Callable[[], None]) -> None:
        """Have an event after a random delay, in the channel's order, unless the office dies."""
        office = self.office
        assert office
        earliest_ms = self.now_ms + self.rng.choice([0, 1, 2, 40])
        at_ms = max(office.arrival_ms.get(channel, 0), earliest_ms)
        office.arrival_ms[channel] = at_ms
        self.after(at_ms - self.now_ms, lambda: event() if self.office is office else None)

    def take(self, ask: Ask) -> None:
        office, what = self.office, ask.request
        assert office
        if isinstance(what, EnqueueJob):
            self.settle(office, office.pool.enqueue(what, ask.payload, self.now_ms))
        elif isinstance(what, WithdrawJobs):
            self.settle(office, office.pool.withdraw(what))
        elif isinstance(what, GatewayBeat):
            actions, unknown = office.pool.gateway_beat(what.gateway, what.jobs, self.now_ms)
            self.settle(office, actions)
            state = PoolState(incarnation=office.incarnation, unknown=unknown, stages=(), counts={})
            self.tell(what.gateway, state)

    def tell(self, gateway: str, notice: Notice) -> None:
        if not self.chance(0.01):
            jobs = self.gateways[gateway]
            self.carry(
                f"from {gateway}",
                lambda: self.perform(gateway, jobs.notice(notice, self.now_ms)),
            )

    def settle(self, office: Office, actions: Sequence[PoolAction]) -> None:
        for action in actions:
            if isinstance(action, Tell):
                self.tell(action.gateway, action.notice)
            elif isinstance(action, Send):
                self.send(office, action)
            elif isinstance(action, Cancel):
                for worker in self.workers.values():
                    if not self.chance(0.1):
                        worker.receive(lambda w=worker, a=action: w.cancel(a))
            else:
                self.relink(action)

    def send(self, office: Office, send: Send) -> None:
        worker = self.workers[send.worker_id, send.incarnation]
        if not worker.linked or self.chance(0.02):
            self.settle(office, office.pool.unsent(send, self.now_ms))
            return
        worker.under_way += 1
        worker.receive(lambda: worker.take(send.job))

    def relink(self, action: Connect | Disconnect) -> None:
        worker = self.workers[action.worker_id, action.incarnation]
        if isinstance(action, Disconnect):
            worker.linked = False
        elif worker.alive:
            office = self.office
            link = lambda: worker.link() if self.office is office else None  # noqa: E731
            self.after(self.rng.randint(1, 30), link)


def play(seed: int) -> SharedWorld:
    world = SharedWorld(seed)
    rng = world.rng
    for worker_id in WORKERS:
        world.after(rng.randint(0, 1_000), lambda name=worker_id: world.start(name))
    for number in range(JOBS):
        job, gateway = request(number, rng), rng.choice(GATEWAYS)
        submit_ms = rng.randint(0, 8_000)
        world.after(submit_ms, lambda job=job, g=gateway: world.submit(g, job))
        if rng.random() < 0.15:
            cancel_ms = submit_ms + rng.randint(0, 1_500)
            world.after(cancel_ms, lambda job=job, g=gateway: world.cancel(g, job.job_id))
        if rng.random() < 0.25:
            # While it is on its way to a worker.
            world.after(submit_ms + rng.randint(0, 60), world.kill_office)
    world.after(rng.randint(0, FAULTS_END_MS), world.kill_office)
    for _ in range(rng.randint(0, 4)):
        fault = rng.choice(["kill", "freeze", "cut", "leave"])
        world.after(rng.randint(0, FAULTS_END_MS), lambda fault=fault: befall(world, fault))
    world.after(0, world.tick)
    world.run(FAULTS_END_MS)
    while any(jobs.unfinished for jobs in world.gateways.values()) and world.now_ms < 100_000:
        world.run(world.now_ms + 1_000)
    world.run(world.now_ms + 10_000)
    return world


def befall(world: SharedWorld, fault: str) -> None:
    alive = [worker for worker in world.workers.values() if worker.alive]
    if alive:
        world.rng.choice(alive).suffer(fault)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_dispatcher_that_dies_loses_repeats_and_forgets_nothing(batch: int) -> None:
    size = SCHEDULES // BATCHES // 2
    for seed in range(batch * size, (batch + 1) * size):
        try:
            world = play(seed)
            for history in world.histories.values():
                history.check()
            assert world.office is not None
            assert len(world.office.pool.tries) == 0
            for stage in ("stt", "llm", "tts"):
                for worker in world.office.pool.roster.of_stage(stage):
                    assert worker.holds == {}, "slots never freed"
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_most_jobs_survive_deaths_of_the_dispatcher() -> None:
    worlds = [play(seed) for seed in range(50)]
    ends = [history.end for world in worlds for history in world.histories.values()]
    assert sum(world.restarts for world in worlds) > 50
    assert sum(isinstance(end, Done) for end in ends) > len(ends) / 2
