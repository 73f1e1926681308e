"""A thousand random fault schedules in simulated time, and a checker that reads the history.

Every message between the scheduler and a worker takes random time; each channel keeps its order
and nothing else does. Workers are killed, frozen and cut off, hang, refuse, fail, leave; messages
are lost and repeated. Sample `n` of a job's speech is `n`, word `n` of its text is `n`.
"""

import heapq
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from antiphon_gateway.dispatch.actions import Action, Cancel, Connect, Deliver, Disconnect, Send
from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.dispatch.scheduler import Scheduler
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    AudioDelta,
    Command,
    Done,
    Failed,
    Generate,
    Result,
    ResultBody,
    Status,
    Synthesize,
    TextDelta,
    Transcribe,
    Transcript,
)

from .simulated_worker import SAMPLES, SLOTS, WORDS, WORKERS, SimulatedWorker

SCHEDULES = 1_000
BATCHES = 10
JOBS = 14
FAULTS_END_MS = 12_000
CODES = {
    "superseded",
    "deadline_exceeded",
    "poison_job",
    "worker_said_no",
    "worker_said_wait",
}


class History:
    """What one job's listener got."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.pcm = b""
        self.text = ""
        self.transcripts: list[str] = []
        self.end: Done | Failed | None = None
        self.cancelled = False

    def add(self, body: ResultBody, payload: bytes) -> None:
        assert not self.cancelled, "delivered after cancel"
        assert self.end is None, "delivered after the end"
        if isinstance(body, AudioDelta):
            self.pcm += payload
        elif isinstance(body, TextDelta):
            self.text += body.text
        elif isinstance(body, Transcript):
            self.transcripts.append(body.text)
        else:
            self.end = body

    def check(self) -> None:
        samples = np.frombuffer(self.pcm, dtype="<i2")
        assert (samples == np.arange(len(samples))).all(), "samples lost, repeated or reordered"
        words = [int(word) for word in self.text.split()]
        assert words == list(range(len(words))), "words lost, repeated or reordered"
        assert len(self.transcripts) <= 1
        assert self.cancelled or self.end is not None, "never ended"
        if isinstance(self.end, Failed):
            assert self.end.code in CODES
        elif self.end is not None:
            got = len(samples), len(words), len(self.transcripts)
            whole = {Synthesize: (SAMPLES, 0, 0), Generate: (0, WORDS, 0), Transcribe: (0, 0, 1)}
            assert got == whole[type(self.request.command)], "incomplete but done"


class World:
    """The scheduler, the workers, the messages under way and the clock."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now_ms = 0
        self.scheduler = Scheduler("gateway-0")
        self.histories: dict[str, History] = {}
        self.workers: dict[tuple[str, str], SimulatedWorker] = {}
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

    def tick(self) -> None:
        self.perform(self.scheduler.tick(self.now_ms))
        self.after(100, self.tick)

    def start(self, worker_id: str) -> None:
        incarnation = f"i{len(self.workers)}"
        self.workers[worker_id, incarnation] = SimulatedWorker(self, worker_id, incarnation)

    def submit(self, request: Request) -> None:
        self.histories[request.job_id] = History(request)
        self.perform(self.scheduler.submit(request, self.now_ms))

    def cancel(self, job_id: str) -> None:
        self.perform(self.scheduler.cancel([job_id], self.now_ms))
        self.histories[job_id].cancelled = self.histories[job_id].end is None

    # from workers

    def heard(self, status: Status) -> None:
        self.perform(self.scheduler.status(status, self.now_ms))

    def answered(self, _: str, result: Result, payload: bytes) -> None:
        self.perform(self.scheduler.result(result, payload, self.now_ms))

    def connected(self, worker: SimulatedWorker) -> None:
        self.perform(self.scheduler.worker_connected(worker.id, worker.incarnation, self.now_ms))

    def disconnected(self, worker: SimulatedWorker) -> None:
        self.perform(self.scheduler.worker_lost(worker.id, worker.incarnation, self.now_ms))

    def perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Deliver):
                self.histories[action.job_id].add(action.result.body, action.payload)
            elif isinstance(action, Send):
                self.send(action)
            elif isinstance(action, Cancel):
                for worker in self.workers.values():
                    if not self.chance(0.1):
                        worker.receive(lambda w=worker, a=action: w.cancel(a))
            elif isinstance(action, Connect | Disconnect):
                self.relink(action)

    def send(self, send: Send) -> None:
        worker = self.workers[send.worker_id, send.incarnation]
        known = self.scheduler.pool.roster.get(send.worker_id)
        assert known is not None
        assert len(known.holds) <= SLOTS, "more jobs than slots"
        if not worker.linked or self.chance(0.02):
            self.perform(self.scheduler.unsent(send, self.now_ms))
            return
        worker.under_way += 1
        assert worker.blemished or len(worker.tries) + worker.under_way <= SLOTS
        worker.receive(lambda: worker.take(send.job))

    def relink(self, action: Connect | Disconnect) -> None:
        worker = self.workers[action.worker_id, action.incarnation]
        if isinstance(action, Disconnect):
            worker.linked = False
        elif worker.alive:
            self.after(self.rng.randint(1, 30), worker.link)


def request(number: int, rng: random.Random) -> Request:
    commands: list[Command] = [
        Transcribe(final=rng.random() < 0.5),
        Generate(
            messages=(ChatMessage("user", "count"),), max_output_tokens=WORDS, temperature=0.0
        ),
        Synthesize(text="count", voice="plain"),
        Synthesize(text="count", voice="plain"),
    ]
    return Request(
        job_id=f"j{number}",
        session_id=f"s{number % 3}",
        turn_id=number,
        revision=0,
        command=rng.choice(commands),
        budget_ms=rng.choice([2_000, 20_000, 20_000, 60_000]),
        urgent=rng.random() < 0.3,
    )


def play(seed: int) -> World:
    world = World(seed)
    rng = world.rng
    for worker_id in WORKERS:
        world.after(rng.randint(0, 1_000), lambda name=worker_id: world.start(name))
    for number in range(JOBS):
        job = request(number, rng)
        submit_ms = rng.randint(0, 8_000)
        world.after(submit_ms, lambda job=job: world.submit(job))
        if rng.random() < 0.15:
            cancel_ms = submit_ms + rng.randint(0, 1_500)
            world.after(cancel_ms, lambda job=job: world.cancel(job.job_id))
    for _ in range(rng.randint(0, 8)):
        fault = rng.choice(["kill", "freeze", "cut", "leave"])
        world.after(rng.randint(0, FAULTS_END_MS), lambda fault=fault: befall(world, fault))
    world.after(0, world.tick)
    world.run(FAULTS_END_MS)
    while len(world.scheduler.jobs) and world.now_ms < 100_000:
        world.run(world.now_ms + 1_000)
    world.run(world.now_ms + 10_000)
    return world


def befall(world: World, fault: str) -> None:
    alive = [worker for worker in world.workers.values() if worker.alive]
    if alive:
        world.rng.choice(alive).suffer(fault)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_fault_loses_repeats_or_forgets_anything(batch: int) -> None:
    size = SCHEDULES // BATCHES
    for seed in range(batch * size, (batch + 1) * size):
        try:
            world = play(seed)
            for history in world.histories.values():
                history.check()
            assert len(world.scheduler.jobs) == len(world.scheduler.pool.tries) == 0
            for stage in ("stt", "llm", "tts"):
                for worker in world.scheduler.pool.roster.of_stage(stage):
                    assert worker.holds == {}, "slots never freed"
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_most_jobs_survive_the_faults() -> None:
    ends = [history.end for seed in range(50) for history in play(seed).histories.values()]
    done = sum(isinstance(end, Done) for end in ends)
    assert done > len(ends) / 2
