"""What each stage has: whether it can work, and if not, why, in one sentence; how busy it is."""

from antiphon_gateway.dispatch.load import load
from antiphon_gateway.dispatch.pool import Pool
from antiphon_gateway.dispatch.roster import Roster, Worker
from antiphon_proto.messages import Stage, StageState, WorkerState


def stage_state(pool: Pool, stage: Stage, now_ms: int) -> StageState:
    """Return the state of a stage."""
    workers = pool.roster.of_stage(stage)
    serving = [worker for worker in workers if worker.link == "up" and worker.slots]
    busy = load(pool, stage, now_ms)
    return StageState(
        stage=stage,
        ready=bool(serving),
        reason=_serving(serving) if serving else _absence(pool.roster, stage, workers),
        queued=busy.waiting,
        oldest_wait_ms=busy.oldest_wait_ms,
        running=busy.running,
        slots=busy.slots,
        workers=tuple(_worker(worker) for worker in workers),
    )


def absent(stage: Stage, reason: str) -> StageState:
    """Return the state of a stage of which nothing else is known."""
    return StageState(
        stage=stage,
        ready=False,
        reason=reason,
        queued=0,
        oldest_wait_ms=0,
        running=0,
        slots=0,
        workers=(),
    )


def _worker(worker: Worker) -> WorkerState:
    beat = worker.announced
    return WorkerState(
        worker_id=beat.worker_id,
        pid=beat.pid,
        engine=beat.engine,
        model=beat.model,
        slots=beat.slots,
        outstanding=len(worker.holds),
        connected=worker.link == "up",
        load_ms=beat.load_ms,
        voices=beat.voices,
        languages=beat.languages,
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
