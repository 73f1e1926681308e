"""The course of one job: its tries, its results, its end. Pure; knows no workers.

It lives where the results are wanted. Tries are asked of a pool (`pool.py`), which says what became
of each; results come from the workers directly.
"""

from antiphon_gateway.dispatch.actions import Ask, Deliver, JobAction, JobNotice, NoteSent
from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.ledger import Entry, Ledger
from antiphon_gateway.dispatch.progress import Progress
from antiphon_gateway.dispatch.request import Request, stage_of_result
from antiphon_proto.codec import encode
from antiphon_proto.messages import (
    Done,
    EnqueueJob,
    Failed,
    JobLost,
    JobReleased,
    JobSent,
    OpenJob,
    Result,
    WithdrawJobs,
)

MAX_OPEN_JOBS = 4_096
"""Jobs of this gateway that are not over, wherever they are."""
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
    """All jobs of a gateway that are not over."""

    def __init__(self, gateway: str, counters: Counters) -> None:
        """`gateway` is the name that workers know it by."""
        self._ledger = Ledger()
        self._gateway = gateway
        self._counters = counters

    def __len__(self) -> int:
        return len(self._ledger)

    # --- from sessions -------------------------------------------------------------------------

    def submit(self, request: Request, now_ms: int, out: list[JobAction]) -> None:
        """Take a job. Raises ValueError when its id is in use."""
        if request.job_id in self._ledger:
            raise ValueError(f"job id {request.job_id!r} is in use")
        self._counters.submitted += 1
        entry = Entry(request, now_ms + request.budget_ms, Progress(request.command))
        self._ledger.add(entry)
        size_bytes = max(len(request.payload), len(encode(request.command)[0]))
        if size_bytes > MAX_JOB_BYTES:
            text = f"job is {size_bytes} bytes, the limit is {MAX_JOB_BYTES}"
            self._fail(entry, "job_too_large", text, out)
        elif len(self._ledger) > MAX_OPEN_JOBS:
            self._counters.overloaded += 1
            text = f"the gateway has {MAX_OPEN_JOBS} jobs that are not over, which is the limit"
            self._fail(entry, "stage_overloaded", text, out, retryable=True)
        else:
            self._enqueue(entry, now_ms, out)

    def cancel(self, job_ids: list[str], out: list[JobAction]) -> None:
        """Forget jobs; nothing more of them is delivered, not even a terminal result."""
        known = tuple(job_id for job_id in job_ids if self._ledger.pop(job_id))
        self._counters.cancelled += len(known)
        if known:
            out.append(Ask(WithdrawJobs(gateway=self._gateway, job_ids=known)))

    # --- from workers and the pool -------------------------------------------------------------

    def result(self, result: Result, payload: bytes, now_ms: int, out: list[JobAction]) -> None:
        """Take a step of a job."""
        entry = self._ledger.get(result.job_id)
        verdict = entry.judge(result) if entry else "late"
        if entry is None or verdict == "late":
            late = stage_of_result(result.body) if entry is None else entry.request.stage
            self._counters.drop("fenced", late)
        elif verdict == "gap" or not entry.fits(result, payload):
            self._counters.broken_streams += 1
            self._withdraw(entry, out)
            self._lose_attempt(entry, "its result stream was broken", now_ms, out)
        else:
            self._step(entry, result, payload, now_ms, out)

    def notice(self, notice: JobNotice, now_ms: int, out: list[JobAction]) -> None:
        """Take what the pool says of a try."""
        entry = self._ledger.get(notice.job_id)
        if entry is None or entry.attempt != notice.attempt or entry.due_ms is not None:
            return
        if isinstance(notice, JobSent):
            entry.worker_id = notice.worker_id
            out.append(NoteSent(notice.job_id))
        elif isinstance(notice, JobReleased):
            self._released(entry, now_ms)
        elif isinstance(notice, JobLost):
            self._lose_attempt(entry, notice.cause, now_ms, out, died=notice.died)
        else:
            self._counters.superseded += notice.code == "superseded"
            self._counters.overloaded += notice.code == "stage_overloaded"
            self._fail(entry, notice.code, notice.message, out, retryable=notice.retryable)

    def tick(self, now_ms: int, out: list[JobAction]) -> None:
        """End what is out of time, make again what ended without a result or has backed off."""
        for entry in self._ledger.all():
            if now_ms >= entry.deadline_ms:
                self._expire(entry, out)
            elif entry.due_ms is not None and now_ms >= entry.due_ms:
                entry.due_ms = None
                self._enqueue(entry, now_ms, out)
            elif entry.finished_ms is not None and now_ms - entry.finished_ms > RESULT_GRACE_MS:
                self._lose_attempt(entry, "it ended without a result", now_ms, out)

    # --- with a pool elsewhere -----------------------------------------------------------------

    def open(self) -> tuple[OpenJob, ...]:
        """Return the tries that are under way."""
        return tuple(
            OpenJob(entry.request.job_id, entry.attempt)
            for entry in self._ledger.all()
            if entry.due_ms is None and entry.finished_ms is None
        )

    def unknown(self, tries: tuple[OpenJob, ...], now_ms: int) -> None:
        """Note that the pool does not hold these tries: they ended, or never reached it."""
        for each in tries:
            entry = self._ledger.get(each.job_id)
            if entry and entry.attempt == each.attempt and entry.due_ms is None:
                self._released(entry, now_ms)

    def ask_again(self, now_ms: int, out: list[JobAction]) -> None:
        """Tell a pool that knows nothing of all tries under way.

        One that is at a worker goes on there. Of any other it is not known whether a worker has
        it, so it gets a new number.
        """
        for entry in self._ledger.all():
            if entry.due_ms is not None or entry.finished_ms is not None:
                continue
            if not entry.worker_id:
                self._counters.reissued += 1
                entry.next_attempt()
            self._enqueue(entry, now_ms, out)

    # --- the course of one job -----------------------------------------------------------------

    def _enqueue(self, entry: Entry, now_ms: int, out: list[JobAction]) -> None:
        request = EnqueueJob(
            job=entry.job(self._gateway, now_ms),
            urgent=entry.request.urgent,
            again=entry.attempt > 1,
            worker_id=entry.worker_id,
        )
        out.append(Ask(request, entry.request.payload))

    def _step(
        self, entry: Entry, result: Result, payload: bytes, now_ms: int, out: list[JobAction]
    ) -> None:
        """Take the next result of a job's current try."""
        entry.next_index += 1
        body = result.body
        if isinstance(body, Failed) and body.retryable:
            self._try_failed(entry, result, now_ms, out)
        elif isinstance(body, Done | Failed):
            self._end(entry, result, out)
        elif (fresh := entry.progress.take(body, payload)) is not None:
            out.append(Deliver(result.job_id, result, fresh))

    def _released(self, entry: Entry, now_ms: int) -> None:
        """Note that no worker holds the try; its terminal result may still be on its way."""
        if entry.finished_ms is None:
            entry.finished_ms = now_ms

    def _lose_attempt(
        self, entry: Entry, cause: str, now_ms: int, out: list[JobAction], *, died: bool = False
    ) -> None:
        """Charge a lost try to the job and make it again, unless it has had its share."""
        entry.lost_attempts += 1
        entry.deaths += died
        if entry.progress.complete:
            self._end(entry, entry.result(Done(engine_ms=0.0)), out)
        elif entry.progress.torn:
            text = f"not all functions that the model called are known: {cause}"
            self._fail(entry, "calls_lost", text, out, retryable=True)
        elif entry.lost_attempts >= MAX_ATTEMPTS or entry.deaths >= MAX_DEATHS:
            self._counters.poisoned += 1
            text = f"given up after {entry.lost_attempts} tries; of the last one: {cause}"
            self._fail(entry, "poison_job", text, out)
        else:
            self._counters.reissued += 1
            entry.next_attempt()
            self._enqueue(entry, now_ms, out)

    def _try_failed(self, entry: Entry, result: Result, now_ms: int, out: list[JobAction]) -> None:
        """Try again after a pause; of the last try pass on what the worker said."""
        entry.lost_attempts += 1
        if entry.progress.complete:
            self._end(entry, entry.result(Done(engine_ms=0.0)), out)
        elif entry.progress.torn or entry.lost_attempts >= MAX_ATTEMPTS:
            self._end(entry, result, out)
        else:
            self._counters.reissued += 1
            entry.next_attempt()
            entry.due_ms = now_ms + FIRST_BACK_OFF_MS * 2 ** (entry.lost_attempts - 1)

    def _expire(self, entry: Entry, out: list[JobAction]) -> None:
        self._counters.expired += 1
        request = entry.request
        place = (
            f"at {entry.worker_id}" if entry.worker_id else f"waiting for a {request.stage} worker"
        )
        self._withdraw(entry, out)
        text = f"not done within {request.budget_ms} ms; it was {place}"
        self._fail(entry, "deadline_exceeded", text, out, retryable=True)

    def _withdraw(self, entry: Entry, out: list[JobAction]) -> None:
        """Have the pool drop the current try."""
        job_ids = (entry.request.job_id,)
        request = WithdrawJobs(
            gateway=self._gateway, job_ids=job_ids, through_attempt=entry.attempt
        )
        out.append(Ask(request))

    def _fail(
        self, entry: Entry, code: str, text: str, out: list[JobAction], *, retryable: bool = False
    ) -> None:
        """End a job with a failure of our own."""
        body = Failed(code=code, message=text, retryable=retryable)
        self._end(entry, entry.result(body), out)

    def _end(self, entry: Entry, result: Result, out: list[JobAction]) -> None:
        """Deliver the terminal result and forget the job."""
        self._ledger.pop(entry.request.job_id)
        if isinstance(result.body, Done):
            self._counters.done += 1
        else:
            self._counters.failed += 1
        out.append(Deliver(entry.request.job_id, result))
