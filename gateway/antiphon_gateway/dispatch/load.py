"""How busy a stage is. Pure."""

from typing import NamedTuple

from antiphon_gateway.dispatch.pool import Pool
from antiphon_proto.messages import Stage


class StageLoad(NamedTuple):
    """The jobs of all sessions at one stage."""

    waiting: int = 0
    """Jobs that no worker has taken."""
    oldest_wait_ms: int = 0
    """How long the first of them has waited."""
    running: int = 0
    """Slots that are occupied."""
    slots: int = 0
    """Jobs that its workers may run at once; 0 while there is no worker."""


def load(pool: Pool, stage: Stage, now_ms: int) -> StageLoad:
    """Return how busy a stage is."""
    since_ms = [waiting.enqueued_ms for waiting in pool.tries.waiting(stage)]
    workers = [worker for worker in pool.roster.of_stage(stage) if worker.link == "up"]
    return StageLoad(
        waiting=len(since_ms),
        oldest_wait_ms=now_ms - min(since_ms, default=now_ms),
        running=sum(len(worker.holds) for worker in workers),
        slots=sum(worker.slots for worker in workers),
    )
