"""Whether a stage can work, and if not, why, in one sentence."""

import msgspec

from antiphon_gateway.dispatch.roster import Roster, Worker
from antiphon_gateway.dispatch.scheduler import Scheduler
from antiphon_proto.messages import STAGES, Stage


class WorkerReadiness(msgspec.Struct, frozen=True, kw_only=True):
    """One worker that has announced itself."""

    worker_id: str
    pid: int
    engine: str
    model: str
    slots: int
    outstanding: int
    """Slots that are occupied."""
    connected: bool


class StageReadiness(msgspec.Struct, frozen=True, kw_only=True):
    """One stage."""

    ready: bool
    """Whether a worker is connected and takes jobs."""
    reason: str
    queued: int
    """Jobs that wait for a worker."""
    workers: tuple[WorkerReadiness, ...]


def readiness(scheduler: Scheduler) -> dict[Stage, StageReadiness]:
    """Return the state of every stage."""
    return {stage: _stage(scheduler, stage) for stage in STAGES}


def _stage(scheduler: Scheduler, stage: Stage) -> StageReadiness:
    workers = scheduler.roster.of_stage(stage)
    serving = [worker for worker in workers if worker.link == "up" and worker.slots]
    return StageReadiness(
        ready=bool(serving),
        reason=_serving(serving) if serving else _absence(scheduler.roster, stage, workers),
        queued=scheduler.queued(stage),
        workers=tuple(_worker(worker) for worker in workers),
    )


def _worker(worker: Worker) -> WorkerReadiness:
    beat = worker.announced
    return WorkerReadiness(
        worker_id=beat.worker_id,
        pid=beat.pid,
        engine=beat.engine,
        model=beat.model,
        slots=beat.slots,
        outstanding=len(worker.holds),
        connected=worker.link == "up",
    )


def _serving(workers: list[Worker]) -> str:
    names = ", ".join(worker.id for worker in workers)
    return f"{names} {'is' if len(workers) == 1 else 'are'} ready"


def _absence(roster: Roster, stage: Stage, workers: list[Worker]) -> str:
    reasons = [
        f"{loading.worker_id} is loading {loading.model} ({loading.elapsed_ms // 1000} s)"
        for loading in roster.loading(stage)
    ]
    reasons += [
        f"{worker.id} is {'draining' if worker.link == 'up' else 'being connected'}"
        for worker in workers
        if worker.link != "down"
    ]
    if reasons:
        return "; ".join(reasons)
    return roster.last_lost.get(stage, "no worker has announced itself")
