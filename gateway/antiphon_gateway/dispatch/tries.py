"""The tries of jobs that wait for a worker or are at one. Pure; knows no workers.

What becomes of a try is told to the gateway that it is from.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from antiphon_gateway.dispatch.actions import Cancel, JobNotice, PoolAction, Tell
from antiphon_gateway.dispatch.queue import AGAIN, NORMAL, URGENT, FairQueue
from antiphon_gateway.dispatch.request import stage_of
from antiphon_gateway.dispatch.reserve import MOST_HELD_BACK_MS, Reserve
from antiphon_proto.messages import (
    STAGES,
    EnqueueJob,
    Job,
    JobLost,
    JobRejected,
    JobReleased,
    OpenJob,
    Stage,
    Transcribe,
    WithdrawJobs,
)

MAX_WAITING_JOBS = 256
"""Jobs of one stage that wait for a worker."""
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Payload of those jobs."""


@dataclass(slots=True)
class Try:
    """One try of a job. Waiting while `worker_id` is empty, at that worker otherwise."""

    job: Job
    payload: bytes
    stage: Stage
    lane: int
    enqueued_ms: int
    worker_id: str = ""

    @property
    def partial(self) -> bool:
        """Whether a newer transcription of the session makes it worthless."""
        return isinstance(self.job.command, Transcribe) and not self.job.command.final


class Tries:
    """Every try that is not over, by job."""

    def __init__(self) -> None:
        self.queues: dict[Stage, FairQueue] = {stage: FairQueue() for stage in STAGES}
        self._reserves: dict[Stage, Reserve] = {stage: Reserve() for stage in STAGES}
        self._tries: dict[str, Try] = {}
        self._waiting_bytes = dict.fromkeys(STAGES, 0)

    def __len__(self) -> int:
        return len(self._tries)

    def __iter__(self) -> Iterator[Try]:
        return iter(tuple(self._tries.values()))

    def get(self, job_id: str) -> Try | None:
        """Return a job's try."""
        return self._tries.get(job_id)

    def at(self, job_id: str, attempt: int, worker_id: str) -> Try | None:
        """Return a try that is at this worker. Attempt 0: whichever."""
        found = self._tries.get(job_id)
        matches = found and found.worker_id == worker_id and attempt in (0, found.job.attempt)
        return found if matches else None

    def held_by(self, worker_id: str) -> list[Try]:
        """Return the tries at a worker."""
        return [each for each in self._tries.values() if each.worker_id == worker_id]

    def waiting(self, stage: Stage) -> list[Try]:
        """Return the tries of a stage that wait for a worker."""
        return [self._tries[job_id] for job_id in self.queues[stage]]

    def holds_back(self, waiting: Try, now_ms: int) -> bool:
        """Whether a try leaves the last free slot of its stage to others."""
        if waiting.lane != NORMAL:
            return False
        left_ms = waiting.enqueued_ms + min(waiting.job.patience_ms, MOST_HELD_BACK_MS) - now_ms
        return self._reserves[waiting.stage].holds_back(waiting.job.session_id, left_ms, now_ms)

    # --- from gateways -------------------------------------------------------------------------

    def enqueue(
        self, request: EnqueueJob, payload: bytes, now_ms: int, out: list[PoolAction]
    ) -> Try | None:
        """Take a try of a job. None: it is known already, or was rejected."""
        job = request.job
        known = self._tries.get(job.job_id)
        if known and (known.job.attempt >= job.attempt or known.job.reply_to != job.reply_to):
            return None
        if known:
            self.forget(known)
        lane = AGAIN if request.again else URGENT if request.urgent else NORMAL
        new = Try(job, payload, stage_of(job.command), lane, now_ms, request.worker_id)
        if request.urgent:
            self._reserves[new.stage].note_urgent(job.session_id, now_ms)
        if new.worker_id:
            self._tries[job.job_id] = new
            return new
        return new if self._queue(new, out) else None

    def withdraw(self, request: WithdrawJobs) -> list[PoolAction]:
        """Forget jobs, or their tries up to one; have workers drop what they may hold."""
        through = request.through_attempt
        held: list[str] = []
        for job_id in request.job_ids:
            found = self._tries.get(job_id)
            if found is None or found.job.reply_to != request.gateway:
                continue
            if found.job.attempt <= (through or found.job.attempt):
                self.forget(found)
                if found.worker_id or found.job.attempt > 1:
                    held.append(job_id)
        return [Cancel(tuple(held), through)] if held else []

    def keep_only(
        self, gateway: str, jobs: Iterable[OpenJob]
    ) -> tuple[list[PoolAction], tuple[OpenJob, ...]]:
        """Forget the gateway's jobs that it does not name. Return what it names and is not here."""
        named = {job.job_id: job.attempt for job in jobs}
        ours = [each.job for each in self._tries.values() if each.job.reply_to == gateway]
        unwanted = tuple(job.job_id for job in ours if job.job_id not in named)
        out = self.withdraw(WithdrawJobs(gateway=gateway, job_ids=unwanted))
        held = {job.job_id: job.attempt for job in ours}
        unknown = (OpenJob(*item) for item in named.items() if held.get(item[0]) != item[1])
        return out, tuple(unknown)

    # --- what becomes of a try -----------------------------------------------------------------

    def take(self, taken: Try, worker_id: str) -> None:
        """Note that a waiting try gets its worker."""
        self.queues[taken.stage].take(taken.job.job_id)
        self._waiting_bytes[taken.stage] -= len(taken.payload)
        taken.worker_id = worker_id

    def wait_again(self, unbegun: Try | None) -> None:
        """Put a try that its worker has not begun first in line."""
        if unbegun:
            unbegun.worker_id = ""
            unbegun.lane = AGAIN
            self._push(unbegun)

    def release(self, released: Try, out: list[PoolAction]) -> None:
        """The worker holds it no more."""
        job = released.job
        self._end(released, JobReleased(job_id=job.job_id, attempt=job.attempt), out)

    def lose(self, lost: Try, cause: str, out: list[PoolAction], *, died: bool) -> None:
        """The worker is gone or stuck."""
        job = lost.job
        notice = JobLost(job_id=job.job_id, attempt=job.attempt, cause=cause, died=died)
        self._end(lost, notice, out)

    def reject(
        self, what: Try, code: str, text: str, out: list[PoolAction], *, retryable: bool = False
    ) -> None:
        """It is not going to be done."""
        job = what.job
        notice = JobRejected(
            job_id=job.job_id, attempt=job.attempt, code=code, message=text, retryable=retryable
        )
        self._end(what, notice, out)

    def forget(self, what: Try) -> None:
        """Leave no trace of it."""
        job_id = what.job.job_id
        if self._tries.get(job_id) is what:
            del self._tries[job_id]
        if job_id in self.queues[what.stage]:
            self.queues[what.stage].remove(job_id)
            self._waiting_bytes[what.stage] -= len(what.payload)

    def _end(self, what: Try, notice: JobNotice, out: list[PoolAction]) -> None:
        self.forget(what)
        out.append(Tell(what.job.reply_to, notice))

    def _queue(self, new: Try, out: list[PoolAction]) -> bool:
        rivals = self._transcriptions(new)
        if rivals and new.partial and new.lane == AGAIN:
            self._supersede(new, out)
            return False
        for older in rivals:
            if older.partial and new.lane != AGAIN:
                if new.partial:
                    self._take_place(older, new)
                self._supersede(older, out)
                if new.partial:
                    return True
        jobs = len(self.queues[new.stage]) + 1
        size_bytes = self._waiting_bytes[new.stage] + len(new.payload)
        if new.lane != AGAIN and (jobs > MAX_WAITING_JOBS or size_bytes > MAX_WAITING_BYTES):
            text = (
                f"{new.stage} queue is full: with this job {jobs} jobs of {MAX_WAITING_JOBS}, "
                f"{size_bytes} bytes of {MAX_WAITING_BYTES}"
            )
            self.reject(new, "stage_overloaded", text, out, retryable=True)
            return False
        self._push(new)
        return True

    def _transcriptions(self, new: Try) -> list[Try]:
        """Return the session's waiting transcriptions, if this is another one."""
        if not isinstance(new.job.command, Transcribe):
            return []
        waiting = map(self._tries.get, self.queues[new.stage].of_session(new.job.session_id))
        return [each for each in waiting if each and isinstance(each.job.command, Transcribe)]

    def _push(self, new: Try) -> None:
        self._tries[new.job.job_id] = new
        self.queues[new.stage].push(new.job.job_id, new.job.session_id, new.lane)
        self._waiting_bytes[new.stage] += len(new.payload)

    def _take_place(self, older: Try, new: Try) -> None:
        """Put a partial in the place of an older one."""
        self._tries[new.job.job_id] = new
        self.queues[new.stage].replace(older.job.job_id, new.job.job_id)
        self._waiting_bytes[new.stage] += len(new.payload) - len(older.payload)

    def _supersede(self, older: Try, out: list[PoolAction]) -> None:
        text = "a newer transcription of the session replaced it"
        self.reject(older, "superseded", text, out)
