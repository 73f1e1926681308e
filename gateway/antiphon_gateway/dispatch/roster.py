"""The workers: what they announced, what they hold, how long their steps take."""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from antiphon_proto.messages import Heartbeat, Job, Loading, Stage, Synthesize

MAX_WORKERS = 256
MAX_SLOTS = 1_024
MAX_NAME_LENGTH = 64
MAX_VOICES = 1_024
MAX_LANGUAGES = 256
MAX_MALFORMED = 1_000_000
SILENCE_MS = 3_000
"""A worker that sends nothing for so long is gone."""
STUCK_MS = 5_000
"""The least time without a step that makes a worker stuck."""
STUCK_STEPS = 5
"""How many of its own slowest usual steps (99th percentile) make a worker stuck."""
UNKNOWN_STUCK_MS = 30_000
"""The time that makes a worker stuck before its steps are known: the first may be a cold start."""
UNCONFIRMED_MS = 1_000
"""A job sent so long ago that a heartbeat does not name is not at the worker."""

_KNOWN_STEPS = 8
_REMEMBERED_STEPS = 128
_REMEMBERED_INCARNATIONS = 8

Link = Literal["connecting", "up", "down"]


@dataclass(slots=True)
class Hold:
    """One job that occupies a slot of a worker, wanted or not."""

    attempt: int
    """0: not known."""
    sent_ms: int
    seen: bool = False
    """Whether a heartbeat named it."""


@dataclass(slots=True)
class Worker:
    """One incarnation of a worker."""

    announced: Heartbeat
    heard_ms: int
    link: Link = "connecting"
    suspect: bool = False
    """It refused a job it had room for; it gets none until its next heartbeat."""
    holds: dict[str, Hold] = field(default_factory=dict)
    former: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_INCARNATIONS))
    """Incarnations that this one replaced."""
    steps_ms: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_STEPS))
    last_use: int = 0

    @property
    def id(self) -> str:
        """The worker's name."""
        return self.announced.worker_id

    @property
    def incarnation(self) -> str:
        """The process behind the name."""
        return self.announced.incarnation

    @property
    def slots(self) -> int:
        """Jobs it may hold at once."""
        return self.announced.slots

    @property
    def free_slots(self) -> int:
        """How many jobs it may be sent."""
        able = self.link == "up" and not self.suspect
        return max(0, self.slots - len(self.holds)) if able else 0

    def speaks(self, language: str) -> bool:
        """Tell whether it is said to speak a language, or does not say what it speaks."""
        told = self.announced.languages
        return not language or not told or language in told

    @property
    def stuck_ms(self) -> int:
        """The time without a step that makes it stuck."""
        if len(self.steps_ms) < _KNOWN_STEPS:
            return UNKNOWN_STUCK_MS
        ordered = sorted(self.steps_ms)
        p99_ms = ordered[math.ceil(0.99 * len(ordered)) - 1]
        return max(STUCK_MS, STUCK_STEPS * p99_ms)

    def release(self, job_id: str, attempt: int) -> None:
        """Free the slot that a try of a job occupies."""
        hold = self.holds.get(job_id)
        if hold and hold.attempt in (0, attempt):
            del self.holds[job_id]

    def reconcile(self, beat: Heartbeat, now_ms: int) -> list[str]:
        """Take over what a heartbeat says it runs. Return the jobs that are not at it any more.

        Status messages keep their order, so a job once named and then not is gone. A job never
        named may still be on its way.
        """
        named = set(beat.running)
        attempts = beat.attempts or (0,) * len(beat.running)
        for job_id, attempt in zip(beat.running, attempts, strict=True):
            self.holds.setdefault(job_id, Hold(attempt, now_ms)).seen = True
        gone = [
            job_id
            for job_id, hold in self.holds.items()
            if job_id not in named and (hold.seen or now_ms - hold.sent_ms > UNCONFIRMED_MS)
        ]
        for job_id in gone:
            del self.holds[job_id]
        return gone


@dataclass(frozen=True, slots=True)
class LoadingWorker:
    """A worker that is loading its engine."""

    announced: Loading
    heard_ms: int


class Roster:
    """All workers by id, and those still loading."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}
        self._loading: dict[str, LoadingWorker] = {}
        self._uses = 0
        self.last_lost: dict[Stage, str] = {}
        """A sentence about the worker that each stage lost last."""

    def get(self, worker_id: str, incarnation: str | None = None) -> Worker | None:
        """Return a worker if it is known, and is this incarnation."""
        worker = self._workers.get(worker_id)
        if worker and incarnation not in (None, worker.incarnation):
            return None
        return worker

    def add(self, worker: Worker) -> None:
        """Add a worker, in place of another of its id."""
        self._workers[worker.id] = worker
        self._loading.pop(worker.id, None)

    def remove(self, worker_id: str) -> None:
        """Forget a worker."""
        self._workers.pop(worker_id, None)

    @property
    def full(self) -> bool:
        """Whether no further worker is admitted."""
        return len(self._workers) >= MAX_WORKERS

    def load(self, loading: Loading, now_ms: int) -> None:
        """Note that a worker is loading."""
        known = loading.worker_id in self._loading
        named = 0 < len(loading.worker_id) <= MAX_NAME_LENGTH
        if known or (named and len(self._loading) < MAX_WORKERS):
            self._loading[loading.worker_id] = LoadingWorker(loading, now_ms)

    def loading(self, stage: Stage) -> list[Loading]:
        """Return what the loading workers of a stage last said."""
        return [
            entry.announced for entry in self._loading.values() if entry.announced.stage == stage
        ]

    def of_stage(self, stage: Stage) -> list[Worker]:
        """Return the workers of a stage."""
        return [worker for worker in self._workers.values() if worker.announced.stage == stage]

    def silent(self, now_ms: int) -> list[Worker]:
        """Return the workers not heard of for too long; forget such loading ones."""
        self._loading = {
            worker_id: entry
            for worker_id, entry in self._loading.items()
            if now_ms - entry.heard_ms <= SILENCE_MS
        }
        return [
            worker for worker in self._workers.values() if now_ms - worker.heard_ms > SILENCE_MS
        ]

    def forgive(self, stall_ms: int) -> None:
        """Do not count a stall of this process as silence of the workers."""
        for worker in self._workers.values():
            worker.heard_ms += stall_ms

    def free_slots(self, stage: Stage) -> int:
        """Return how many jobs the workers of a stage may be sent."""
        return sum(worker.free_slots for worker in self.of_stage(stage))

    def slots(self, stage: Stage) -> int:
        """Return how many jobs the workers of a stage may hold."""
        return sum(worker.slots for worker in self.of_stage(stage) if worker.link == "up")

    def pick(self, stage: Stage, job: Job) -> Worker | None:
        """Return the least loaded worker with room, the longest unused of equals.

        Speech goes to those that speak its language, as long as there are any, and of these rather
        to one with its voice. A worker that still holds an earlier try of the job does not get the
        next one: its heartbeats and cancellations tell jobs apart, not tries.
        """
        workers, voice = self.of_stage(stage), ""
        if isinstance(job.command, Synthesize):
            voice, language = job.command.voice, job.command.language
            workers = [worker for worker in workers if worker.speaks(language)] or workers
        able = [
            worker for worker in workers if worker.free_slots and job.job_id not in worker.holds
        ]
        if not able:
            return None

        def order(worker: Worker) -> tuple[bool, float, int]:
            another = bool(voice) and voice not in worker.announced.voices
            return another, len(worker.holds) / worker.slots, worker.last_use

        chosen = min(able, key=order)
        self._uses += 1
        chosen.last_use = self._uses
        return chosen


def in_range(beat: Heartbeat) -> bool:
    """Whether a heartbeat keeps the limits on slots, jobs, names, voices, languages, counts."""
    return (
        0 <= beat.slots <= MAX_SLOTS
        and len(beat.running) <= MAX_SLOTS
        and len(beat.attempts) in (0, len(beat.running))
        and len(beat.step_ages_ms) in (0, len(beat.running))
        and len(beat.steps_ms) <= MAX_SLOTS
        and len(beat.voices) <= MAX_VOICES
        and len(beat.languages) <= MAX_LANGUAGES
        and 0 <= beat.malformed <= MAX_MALFORMED
        and 0 < len(beat.worker_id) <= MAX_NAME_LENGTH
        and 0 < len(beat.incarnation) <= MAX_NAME_LENGTH
    )


def step_ages_ms(beat: Heartbeat) -> dict[str, int]:
    """Return the time since the last step of each job that a heartbeat names."""
    ages_ms = beat.step_ages_ms or (beat.last_step_age_ms,) * len(beat.running)
    return dict(zip(beat.running, ages_ms, strict=True))
