"""What the pure parts want done. Whoever owns the sockets does it, in the order given."""

from dataclasses import dataclass

from antiphon_proto.messages import (
    DispatchRequest,
    Job,
    JobLost,
    JobRejected,
    JobReleased,
    JobSent,
    Result,
)

JobNotice = JobSent | JobReleased | JobLost | JobRejected


@dataclass(frozen=True, slots=True)
class Send:
    """Hand a job to a worker. When that is impossible at once, call `Pool.unsent`."""

    worker_id: str
    incarnation: str
    job: Job
    payload: bytes


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


WorkerAction = Send | Cancel | Connect | Disconnect


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the gateway that a job is from what became of it."""

    gateway: str
    notice: JobNotice


PoolAction = WorkerAction | Tell


@dataclass(frozen=True, slots=True)
class Deliver:
    """Give a result to whoever submitted the job."""

    job_id: str
    result: Result
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class NoteSent:
    """A worker was sent a job."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the pool for something. `payload` is that of a job to enqueue."""

    request: DispatchRequest
    payload: bytes = b""


JobAction = Deliver | NoteSent | Ask
Action = PoolAction | JobAction
