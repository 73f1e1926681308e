"""Who watches a session: metrics, and traces where they are wanted. Watching changes nothing."""

from collections.abc import Sequence
from typing import Protocol

from antiphon_gateway.effects import CancelJobs, Effect, Submit
from antiphon_gateway.job_records import JobRecord, JobRecords
from antiphon_proto.messages import Result


class Watcher(Protocol):
    """Told of what a session does; must be quick and must not raise."""

    def observe(self, effect: Effect, now_ms: float) -> None:
        """The session's core asked for an effect."""

    def job_ended(self, record: JobRecord) -> None:
        """A job of the session has ended."""


class SessionObserver:
    """Shows one session to its watchers."""

    def __init__(self, watchers: Sequence[Watcher] = ()) -> None:
        self._watchers = watchers
        self._records = JobRecords(self._job_ended)

    def effect(self, effect: Effect, now_ms: float) -> None:
        """The core asked for an effect."""
        if isinstance(effect, Submit):
            self._records.submitted(effect.request, now_ms)
        elif isinstance(effect, CancelJobs):
            self._records.cancelled(effect.job_ids, now_ms)
        for watcher in self._watchers:
            watcher.observe(effect, now_ms)

    def result(self, result: Result, payload: bytes, now_ms: float) -> None:
        """A job's result came."""
        self._records.result(result, payload, now_ms)

    def _job_ended(self, record: JobRecord) -> None:
        for watcher in self._watchers:
            watcher.job_ended(record)
