"""The jobs that are not over: where each is, what it has cost, what counts as its next result."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from antiphon_gateway.dispatch.progress import Progress
from antiphon_gateway.dispatch.request import Request
from antiphon_proto.messages import Done, Failed, Job, Result, ResultBody

Verdict = Literal["next", "late", "gap"]


@dataclass(slots=True)
class Entry:
    """One job."""

    request: Request
    deadline_ms: int
    progress: Progress
    attempt: int = 1
    """The try that counts."""
    worker_id: str = ""
    """The worker that the try is at, as far as is known."""
    next_index: int = 0
    finished_ms: int | None = None
    """When the worker said that it holds the job no more."""
    due_ms: int | None = None
    """When a job that backs off may be tried again; no try of it is under way until then."""
    lost_attempts: int = 0
    deaths: int = 0
    """Workers that died or hung while they held the job."""

    def judge(self, result: Result) -> Verdict:
        """Say whether a result counts. `gap`: the current try lost a result before this one."""
        if result.attempt != self.attempt:
            return "late"
        if result.index == self.next_index:
            return "next"
        return "gap" if result.index > self.next_index else "late"

    def fits(self, result: Result, payload: bytes) -> bool:
        """Whether a result belongs to this request and to what was delivered of it."""
        request = self.request
        if (result.session_id, result.turn_id, result.revision) != (
            request.session_id,
            request.turn_id,
            request.revision,
        ):
            return False
        terminal = isinstance(result.body, Done | Failed)
        return terminal or self.progress.fits(result.body, payload)

    def result(self, body: ResultBody) -> Result:
        """Return a result of our own making."""
        return Result(
            job_id=self.request.job_id,
            session_id=self.request.session_id,
            turn_id=self.request.turn_id,
            revision=self.request.revision,
            attempt=self.attempt,
            index=self.next_index,
            body=body,
        )

    def job(self, reply_to: str, now_ms: int) -> Job:
        """Return what the next try is sent as."""
        waited_ms = now_ms - (self.deadline_ms - self.request.budget_ms)
        patience_ms = 0 if self.request.urgent else self.request.patience_ms
        return Job(
            job_id=self.request.job_id,
            session_id=self.request.session_id,
            turn_id=self.request.turn_id,
            revision=self.request.revision,
            attempt=self.attempt,
            reply_to=reply_to,
            budget_ms=max(1, self.deadline_ms - now_ms),
            patience_ms=max(0, patience_ms - waited_ms),
            command=self.progress.remaining_command(),
        )

    def next_attempt(self) -> None:
        """Give up the current try: from here on its results are late."""
        self.attempt += 1
        self.worker_id = ""
        self.next_index = 0
        self.finished_ms = None
        self.progress.begin_attempt()


class Ledger:
    """The entries of all jobs that are not over. A job that is over leaves no trace."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._entries

    def add(self, entry: Entry) -> None:
        """Enter a job."""
        self._entries[entry.request.job_id] = entry

    def get(self, job_id: str) -> Entry | None:
        """Return a job that is not over."""
        return self._entries.get(job_id)

    def pop(self, job_id: str) -> Entry | None:
        """Forget a job."""
        return self._entries.pop(job_id, None)

    def all(self) -> Iterable[Entry]:
        """Return every job; the ledger may be changed meanwhile."""
        return tuple(self._entries.values())
