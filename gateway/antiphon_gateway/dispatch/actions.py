"""What the scheduler wants done. The dispatcher does it, in the order given."""

from dataclasses import dataclass

from antiphon_proto.messages import Job, Result


@dataclass(frozen=True, slots=True)
class Send:
    """Hand a job to a worker. When that is impossible at once, call `Scheduler.unsent`."""

    worker_id: str
    incarnation: str
    job: Job
    payload: bytes


@dataclass(frozen=True, slots=True)
class Deliver:
    """Give a result to whoever submitted the job."""

    job_id: str
    result: Result
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Tell the workers that these jobs, or their tries up to one, are not wanted any more."""

    job_ids: tuple[str, ...]
    through_attempt: int = 0
    """0: every try."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Open the job connection to a worker and watch it."""

    worker_id: str
    incarnation: str
    endpoint: str
    slots: int


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the job connection to a worker."""

    worker_id: str
    incarnation: str


Action = Send | Deliver | Cancel | Connect | Disconnect
