"""The course of one job: waiting, its results, its lost tries, its end. Pure; knows no workers."""

from antiphon_gateway.dispatch.actions import Action, Cancel, Deliver
from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.ledger import Entry, Ledger
from antiphon_gateway.dispatch.progress import Progress
from antiphon_gateway.dispatch.queue import AGAIN, NORMAL, URGENT, FairQueue
from antiphon_gateway.dispatch.request import Request
from antiphon_proto.codec import encode
from antiphon_proto.messages import STAGES, Done, Failed, Result, Stage, Transcribe

MAX_WAITING_JOBS = 256
"""Jobs of one stage that wait for a worker."""
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Payload of those jobs."""
MAX_JOB_BYTES = 2_000_000
"""Command or payload of one job: what the channel carries, less room for ids and continued text."""
MAX_ATTEMPTS = 5
MAX_DEATHS = 3
"""Workers that may die or hang while they hold one job."""
RESULT_GRACE_MS = 1_000
"""How long the terminal result may come after the worker said that it holds the job no more."""
FIRST_BACK_OFF_MS = 100
"""Wait after a worker's first retryable failure of a job; doubled each time."""


class Jobs:
    """All jobs that are not over, and the queues of those that wait."""

    def __init__(self, counters: Counters) -> None:
        self.ledger = Ledger()
        self.queues: dict[Stage, FairQueue] = {stage: FairQueue() for stage in STAGES}
        self._counters = counters

    def submit(self, request: Request, now_ms: int, out: list[Action]) -> None:
        """Take a job. Raises ValueError when its id is in use."""
        if request.job_id in self.ledger:
            raise ValueError(f"job id {request.job_id!r} is in use")
        self._counters.submitted += 1
        entry = Entry(request, now_ms + request.budget_ms, Progress(request.command))
        self.ledger.add(entry)
        size_bytes = max(len(request.payload), len(encode(request.command)[0]))
        if size_bytes > MAX_JOB_BYTES:
            text = f"job is {size_bytes} bytes, the limit is {MAX_JOB_BYTES}"
            self.fail(entry, "job_too_large", text, out)
        elif not self._replace_partial(entry, out):
            self._enqueue(entry, out)

    def cancel(self, job_ids: list[str]) -> tuple[str, ...]:
        """Forget jobs. Return those that a worker may hold."""
        sent: list[str] = []
        for job_id in job_ids:
            if entry := self.ledger.pop(job_id):
                self._counters.cancelled += 1
                self.queues[entry.request.stage].remove(job_id)
                if entry.sent:
                    sent.append(job_id)
        return tuple(sent)

    def step(
        self, entry: Entry, result: Result, payload: bytes, now_ms: int, out: list[Action]
    ) -> None:
        """Take the next result of a job's current try."""
        entry.step_ms = now_ms
        entry.next_index += 1
        body = result.body
        if isinstance(body, Failed) and body.retryable:
            self._try_failed(entry, result, now_ms, out)
        elif isinstance(body, Done | Failed):
            self._end(entry, result, out)
        elif (fresh := entry.progress.take(body, payload)) is not None:
            out.append(Deliver(result.job_id, result, fresh))

    def lose_attempt(
        self, entry: Entry, cause: str, out: list[Action], *, died: bool = False
    ) -> None:
        """Charge a lost try to the job and make it again, unless it has had its share."""
        entry.lost_attempts += 1
        entry.deaths += died
        if entry.progress.complete:
            self._end(entry, entry.result(Done(engine_ms=0.0)), out)
        elif entry.lost_attempts >= MAX_ATTEMPTS or entry.deaths >= MAX_DEATHS:
            self._counters.poisoned += 1
            text = f"given up after {entry.lost_attempts} tries; of the last one: {cause}"
            self.fail(entry, "poison_job", text, out)
        else:
            self.reissue(entry, out)

    def reissue(self, entry: Entry, out: list[Action]) -> None:
        """Make a job again at once; its current try is void."""
        self._counters.reissued += 1
        entry.next_attempt()
        self._wait_again(entry, out)

    def break_off(self, entry: Entry, out: list[Action]) -> None:
        """Void a try whose result stream lost a result or brought one that does not fit."""
        self._counters.broken_streams += 1
        self.withdraw(entry, out)
        self.lose_attempt(entry, "its result stream was broken", out)

    def withdraw(self, entry: Entry, out: list[Action]) -> None:
        """Tell the worker that holds the current try to drop it."""
        if entry.worker_id is not None:
            out.append(Cancel((entry.request.job_id,), through_attempt=entry.attempt))

    def finished(self, job_id: str, worker_id: str, now_ms: int) -> None:
        """Note that a worker holds a job no more; its terminal result may still be on its way."""
        entry = self.ledger.at(job_id, worker_id)
        if entry and entry.finished_ms is None:
            entry.finished_ms = now_ms

    def tick(self, now_ms: int, out: list[Action]) -> None:
        """End what is out of time, make again what ended without a result or has backed off."""
        for entry in self.ledger.all():
            if entry.request.job_id not in self.ledger:
                continue
            if now_ms >= entry.deadline_ms:
                self._expire(entry, out)
            elif entry.due_ms is not None and now_ms >= entry.due_ms:
                entry.due_ms = None
                self._wait_again(entry, out)
            elif entry.finished_ms is not None and now_ms - entry.finished_ms > RESULT_GRACE_MS:
                self.lose_attempt(entry, "it ended without a result", out)

    def fail(
        self, entry: Entry, code: str, text: str, out: list[Action], *, retryable: bool = False
    ) -> None:
        """End a job with a failure of our own."""
        body = Failed(code=code, message=text, retryable=retryable)
        self._end(entry, entry.result(body), out)

    def _replace_partial(self, entry: Entry, out: list[Action]) -> bool:
        """End the session's waiting partial. True: the job has taken its place."""
        request = entry.request
        if not isinstance(request.command, Transcribe):
            return False
        queue = self.queues[request.stage]
        for job_id in queue.of_session(request.session_id):
            older = self.ledger.get(job_id)
            if older is None or not older.request.partial:
                continue
            if request.partial:
                queue.replace(job_id, request.job_id)
            self._supersede(older, out)
            return request.partial
        return False

    def _enqueue(self, entry: Entry, out: list[Action]) -> None:
        request = entry.request
        jobs, size_bytes = self.ledger.waiting(request.stage)
        if jobs > MAX_WAITING_JOBS or size_bytes > MAX_WAITING_BYTES:
            self._counters.overloaded += 1
            text = (
                f"{request.stage} queue is full: with this job {jobs} jobs of {MAX_WAITING_JOBS}, "
                f"{size_bytes} bytes of {MAX_WAITING_BYTES}"
            )
            self.fail(entry, "stage_overloaded", text, out, retryable=True)
            return
        lane = URGENT if request.urgent else NORMAL
        self.queues[request.stage].push(request.job_id, request.session_id, lane)

    def _wait_again(self, entry: Entry, out: list[Action]) -> None:
        """Put a job that was sent before first in line, unless it is worthless by now."""
        request = entry.request
        queue = self.queues[request.stage]
        rivals = map(self.ledger.get, queue.of_session(request.session_id))
        if request.partial and any(
            rival and isinstance(rival.request.command, Transcribe) for rival in rivals
        ):
            self._supersede(entry, out)
        else:
            queue.push(request.job_id, request.session_id, AGAIN)

    def _try_failed(self, entry: Entry, result: Result, now_ms: int, out: list[Action]) -> None:
        """Try again after a pause; of the last try pass on what the worker said."""
        entry.lost_attempts += 1
        if entry.progress.complete:
            self._end(entry, entry.result(Done(engine_ms=0.0)), out)
        elif entry.lost_attempts >= MAX_ATTEMPTS:
            self._end(entry, result, out)
        else:
            self._counters.reissued += 1
            entry.next_attempt()
            entry.due_ms = now_ms + FIRST_BACK_OFF_MS * 2 ** (entry.lost_attempts - 1)

    def _expire(self, entry: Entry, out: list[Action]) -> None:
        self._counters.expired += 1
        request = entry.request
        self.withdraw(entry, out)
        place = (
            f"at {entry.worker_id}" if entry.worker_id else f"waiting for a {request.stage} worker"
        )
        text = f"not done within {request.budget_ms} ms; it was {place}"
        self.fail(entry, "deadline_exceeded", text, out, retryable=True)

    def _supersede(self, entry: Entry, out: list[Action]) -> None:
        self._counters.superseded += 1
        self.fail(entry, "superseded", "a newer transcription of the session replaced it", out)

    def _end(self, entry: Entry, result: Result, out: list[Action]) -> None:
        """Deliver the terminal result and forget the job."""
        request = entry.request
        self.ledger.pop(request.job_id)
        self.queues[request.stage].remove(request.job_id)
        if isinstance(result.body, Done):
            self._counters.done += 1
        else:
            self._counters.failed += 1
        out.append(Deliver(request.job_id, result))
