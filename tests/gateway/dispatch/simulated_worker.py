"""A simulated worker process: what it does, what it says, what befalls it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from antiphon_gateway.dispatch.actions import Cancel
from antiphon_proto.messages import (
    AudioDelta,
    Done,
    Failed,
    Finished,
    Generate,
    Goodbye,
    Heartbeat,
    Job,
    Refused,
    Result,
    ResultBody,
    Stage,
    TextDelta,
    Transcribe,
    Transcript,
)

if TYPE_CHECKING:
    from .test_fault_schedules import World


SLOTS = 2
SAMPLES = 400
WORDS = 20
WORKERS: dict[str, Stage] = {"stt-0": "stt", "llm-0": "llm", "tts-0": "tts", "tts-1": "tts"}


class Try:
    """One try of a job inside a worker."""

    def __init__(self, job: Job, steps: list[tuple[ResultBody, bytes]], now_ms: int) -> None:
        self.job = job
        self.steps = steps
        self.index = 0
        self.step_ms = now_ms
        self.hung = False


class SimulatedWorker:
    """One worker process."""

    def __init__(self, world: World, worker_id: str, incarnation: str) -> None:
        self.world = world
        self.id = worker_id
        self.incarnation = incarnation
        self.alive = True
        self.linked = False
        self.blemished = False
        """Whether the scheduler may have lost count of its jobs."""
        self.frozen_until_ms = 0
        self.under_way = 0
        self.steps_ms: list[int] = []
        self.tries: dict[tuple[str, int], Try] = {}
        self.arrival_ms = {"jobs": 0, "status": 0, "results": 0}
        self.heartbeat()

    # what it sends and receives

    def arrive(self, channel: str, event: Callable[[], None]) -> None:
        """Have an event after a random delay and after all earlier ones of the channel."""
        rng, now_ms = self.world.rng, self.world.now_ms
        delay_ms = rng.choice([0, 1, 2, 5, 40]) if self.world.chance(1) else 1
        self.arrival_ms[channel] = max(self.arrival_ms[channel], now_ms + delay_ms)
        self.world.after(self.arrival_ms[channel] - now_ms, event)

    def receive(self, event: Callable[[], None]) -> None:
        self.arrive("jobs", lambda: self.when_awake(event))

    def when_awake(self, event: Callable[[], None]) -> None:
        if self.alive and self.world.now_ms < self.frozen_until_ms:
            self.world.after(
                self.frozen_until_ms - self.world.now_ms, lambda: self.when_awake(event)
            )
        elif self.alive:
            event()

    def report(self, status: Heartbeat | Finished | Refused | Goodbye) -> None:
        world = self.world
        if isinstance(status, Finished) and world.chance(0.05):
            return
        self.arrive("status", lambda: world.heard(status))

    def answer(self, attempt: Try, body: ResultBody, payload: bytes) -> None:
        world, job = self.world, attempt.job
        result = Result(
            job_id=job.job_id,
            session_id=job.session_id,
            turn_id=job.turn_id,
            revision=job.revision,
            attempt=job.attempt,
            index=attempt.index,
            body=body,
        )
        attempt.index += 1
        for _ in range(0 if world.chance(0.01) else 2 if world.chance(0.02) else 1):
            self.arrive("results", lambda: world.answered(job.reply_to, result, payload))

    def heartbeat(self) -> None:
        ages_ms = [self.world.now_ms - attempt.step_ms for attempt in self.tries.values()]
        beat = Heartbeat(
            worker_id=self.id,
            incarnation=self.incarnation,
            stage=WORKERS[self.id],
            endpoint="ipc:///run/w.jobs",
            slots=SLOTS,
            engine="simulated",
            model="none",
            pid=1,
            running=tuple(job_id for job_id, _ in self.tries),
            attempts=tuple(attempt for _, attempt in self.tries),
            last_step_age_ms=max(ages_ms, default=0),
            step_ages_ms=tuple(ages_ms),
            steps_ms=tuple(self.steps_ms),
        )
        self.report(beat)
        self.steps_ms.clear()
        self.world.after(250, lambda: self.when_awake(self.heartbeat))

    # what it does

    def link(self) -> None:
        if self.alive:
            self.linked = True
            self.world.connected(self)

    def take(self, job: Job) -> None:
        self.under_way -= 1
        if len(self.tries) >= SLOTS or self.world.chance(0.03):
            refused = Refused(
                worker_id=self.id,
                incarnation=self.incarnation,
                job_id=job.job_id,
                attempt=job.attempt,
                reason="busy",
            )
            self.report(refused)
            return
        attempt = Try(job, steps(job, self.world.rng), self.world.now_ms)
        attempt.hung = self.world.chance(0.03)
        if self.world.chance(0.08):
            place = self.world.rng.randint(0, len(attempt.steps) - 1)
            retryable = self.world.rng.random() < 0.8
            code = "worker_said_wait" if retryable else "worker_said_no"
            failed = Failed(code=code, message="simulated", retryable=retryable)
            attempt.steps[place:] = [(failed, b"")]
        self.tries[job.job_id, job.attempt] = attempt
        self.later_step(attempt)

    def later_step(self, attempt: Try) -> None:
        delay_ms = self.world.rng.randint(1, 60)
        self.world.after(delay_ms, lambda: self.when_awake(lambda: self.step(attempt)))

    def step(self, attempt: Try) -> None:
        key = attempt.job.job_id, attempt.job.attempt
        if self.tries.get(key) is not attempt or attempt.hung:
            return
        self.steps_ms.append(self.world.now_ms - attempt.step_ms)
        attempt.step_ms = self.world.now_ms
        self.answer(attempt, *attempt.steps[attempt.index])
        if attempt.index == len(attempt.steps):
            self.finish(key)
        else:
            self.later_step(attempt)

    def cancel(self, cancel: Cancel) -> None:
        for job_id, attempt in list(self.tries):
            if job_id in cancel.job_ids and attempt <= (cancel.through_attempt or attempt):
                self.finish((job_id, attempt))

    def finish(self, key: tuple[str, int]) -> None:
        del self.tries[key]
        job_id, attempt = key
        self.report(
            Finished(
                worker_id=self.id, incarnation=self.incarnation, job_id=job_id, attempt=attempt
            )
        )

    # what befalls it

    def suffer(self, fault: str) -> None:
        world, rng = self.world, self.world.rng
        self.blemished = True
        if fault == "freeze":
            self.frozen_until_ms = world.now_ms + rng.randint(500, 6_000)
            return
        if fault == "leave":
            self.report(Goodbye(worker_id=self.id, incarnation=self.incarnation))
        if fault in ("kill", "leave"):
            self.alive = False
            world.after(rng.randint(100, 1_500), lambda: world.start(self.id))
        linked, self.linked = self.linked, False
        if linked:
            world.after(rng.randint(1, 15), self.disconnected)

    def disconnected(self) -> None:
        self.world.disconnected(self)


def steps(job: Job, rng: random.Random) -> list[tuple[ResultBody, bytes]]:
    """Return all results of a job, cut differently each time."""
    command = job.command
    out: list[tuple[ResultBody, bytes]] = []
    if isinstance(command, Transcribe):
        out.append((Transcript(text="heard"), b""))
    elif isinstance(command, Generate):
        last = command.messages[-1]
        done = len(last.content.split()) if last.role == "assistant" else 0
        out += [(TextDelta(text=f"{word} "), b"") for word in range(done, WORDS)]
    else:
        pcm = np.arange(SAMPLES, dtype="<i2").tobytes()
        while pcm:
            size = 2 * rng.randint(5, 60)
            out.append((AudioDelta(sample_rate_hz=24_000), pcm[:size]))
            pcm = pcm[size:]
    return [*out, (Done(engine_ms=1.0), b"")]
