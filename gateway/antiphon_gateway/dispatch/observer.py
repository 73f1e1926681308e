"""Who is told of each job's course, for metrics and admission."""

from typing import Protocol

from antiphon_gateway.dispatch.request import Request


class JobObserver(Protocol):
    """Told of jobs by the dispatcher; must be quick and must not raise."""

    def submitted(self, request: Request, now_ms: int) -> None:
        """A job was asked for."""

    def sent(self, job_id: str, now_ms: int) -> None:
        """A worker was sent a job; called again for each further attempt."""

    def ended(self, job_id: str, outcome: str, now_ms: int) -> None:
        """A job is over: `done`, `failed` or `cancelled`."""


class NoObserver:
    """Takes no notice."""

    def submitted(self, request: Request, now_ms: int) -> None:
        """Nothing."""

    def sent(self, job_id: str, now_ms: int) -> None:
        """Nothing."""

    def ended(self, job_id: str, outcome: str, now_ms: int) -> None:
        """Nothing."""
