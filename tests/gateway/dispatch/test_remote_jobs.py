"""A gateway and a dispatcher process, message by message."""

import msgspec
import pytest

from antiphon_gateway.dispatch.actions import Ask, Cancel, Deliver, NoteSent, PoolAction, Send, Tell
from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.pool import Pool
from antiphon_gateway.dispatch.remote_jobs import SILENCE_MS, RemoteJobs
from antiphon_gateway.dispatch.request import Request
from antiphon_proto.messages import (
    Done,
    EnqueueJob,
    Failed,
    GatewayBeat,
    Heartbeat,
    Job,
    JobReleased,
    JobSent,
    OpenJob,
    PoolState,
    Result,
    StageState,
    WithdrawJobs,
)

from .conftest import SPEAK

DONE = Done(engine_ms=1.0)


def request(job_id: str, session_id: str = "s", *, urgent: bool = False) -> Request:
    return Request(
        job_id=job_id,
        session_id=session_id,
        turn_id=1,
        revision=0,
        command=SPEAK,
        budget_ms=30_000,
        urgent=urgent,
    )


def state(incarnation: str, unknown: tuple[OpenJob, ...] = ()) -> PoolState:
    stage = StageState(
        stage="tts",
        ready=True,
        reason="tts-0 is ready",
        queued=1,
        oldest_wait_ms=5,
        running=1,
        slots=2,
        workers=(),
    )
    counters = Counters(stuck=3)
    for _ in range(2):
        counters.drop("ignored_heartbeats", "llm")
    counts = counters.of_pool()
    return PoolState(incarnation=incarnation, unknown=unknown, stages=(stage,), counts=counts)


def beat(
    *running: tuple[str, int], worker_id: str = "tts-0", slots: int = 1, incarnation: str = "a"
) -> Heartbeat:
    return Heartbeat(
        worker_id=worker_id,
        incarnation=incarnation,
        stage="tts",
        endpoint="ipc:///run/w.jobs",
        slots=slots,
        engine="e",
        model="m",
        pid=1,
        running=tuple(job_id for job_id, _ in running),
        attempts=tuple(attempt for _, attempt in running),
    )


def result(job_id: str, attempt: int, index: int) -> Result:
    return Result(
        job_id=job_id,
        session_id="s",
        turn_id=1,
        revision=0,
        attempt=attempt,
        index=index,
        body=DONE,
    )


def asked(actions: list[object]) -> list[tuple[str, int, str]]:
    """Return job, attempt and presumed worker of what is asked for."""
    wanted = [a.request for a in actions if isinstance(a, Ask)]
    return [(w.job.job_id, w.job.attempt, w.worker_id) for w in wanted if isinstance(w, EnqueueJob)]


# --- the gateway's end ---


@pytest.fixture
def jobs() -> RemoteJobs:
    made = RemoteJobs("gateway-0")
    made.notice(state("d0"), 0)
    return made


def test_a_new_dispatcher_is_told_what_is_at_workers_and_what_is_not(jobs: RemoteJobs) -> None:
    for job_id in ("waits", "runs", "ended"):
        assert asked(list(jobs.submit(request(job_id), 0))) == [(job_id, 1, "")]
    for job_id in ("runs", "ended"):
        sent = JobSent(job_id=job_id, attempt=1, worker_id="tts-0")
        assert jobs.notice(sent, 1) == [NoteSent(job_id)]
    jobs.notice(JobReleased(job_id="ended", attempt=1), 2)
    assert jobs.notice(state("d0"), 100) == []
    again = jobs.notice(state("d1"), 200)
    # Nobody knows whether a worker got the first; a second try with its number could be mixed up.
    assert asked(list(again)) == [("waits", 2, ""), ("runs", 1, "tts-0")]


def test_a_running_job_delivers_while_there_is_no_dispatcher(jobs: RemoteJobs) -> None:
    jobs.submit(request("j1"), 0)
    jobs.tick(SILENCE_MS + 1)
    assert not jobs.state("tts", SILENCE_MS + 1).ready
    out = jobs.result(result("j1", 1, 0), b"", SILENCE_MS + 2)
    assert [action.result.body for action in out if isinstance(action, Deliver)] == [DONE]
    assert jobs.unfinished == 0


def test_what_was_asked_of_nobody_is_asked_again(jobs: RemoteJobs) -> None:
    [ask] = jobs.submit(request("j1"), 0)
    assert isinstance(ask, Ask)
    jobs.unasked(ask.request)
    assert asked(list(jobs.notice(state("d0"), 10))) == [("j1", 2, "")]
    assert jobs.notice(state("d0"), 20) == []


def test_a_try_that_the_dispatcher_does_not_know_is_made_again_after_a_grace(
    jobs: RemoteJobs,
) -> None:
    jobs.submit(request("j1"), 0)
    jobs.notice(state("d0", (OpenJob("j1", 1),)), 100)
    assert asked(list(jobs.tick(1_000))) == []
    assert asked(list(jobs.tick(1_200))) == [("j1", 2, "")]


def test_a_job_without_a_dispatcher_ends_when_its_budget_is_spent(jobs: RemoteJobs) -> None:
    jobs.submit(request("j1"), 0)
    ends = [a.result.body for a in jobs.tick(30_000) if isinstance(a, Deliver)]
    assert [end.code for end in ends if isinstance(end, Failed)] == ["deadline_exceeded"]


def test_beats_name_the_tries_under_way(jobs: RemoteJobs) -> None:
    jobs.tick(0)
    jobs.submit(request("j1"), 0)
    [ask] = jobs.tick(250)
    assert isinstance(ask, Ask)
    assert ask.request == GatewayBeat(gateway="gateway-0", jobs=(OpenJob("j1", 1),))


def test_the_state_is_what_the_dispatcher_said_last(jobs: RemoteJobs) -> None:
    assert jobs.state("tts", 0).slots == 2
    assert "does not serve" in jobs.state("llm", 0).reason
    assert "does not answer" in jobs.state("tts", SILENCE_MS + 1).reason
    assert jobs.counters.stuck == 3
    assert (
        jobs.counters.dropped["ignored_heartbeats", "llm"] == jobs.counters.ignored_heartbeats == 2
    )


def test_what_the_dispatcher_dropped_is_added_to_what_the_gateway_did(jobs: RemoteJobs) -> None:
    def told(incarnation: str, *, speech: int, unknown: int) -> None:
        counters = Counters()
        counters.drop("malformed", "tts", speech)
        counters.drop("malformed", count=unknown)
        counts = counters.of_pool()
        notice = PoolState(incarnation=incarnation, unknown=(), stages=(), counts=counts)
        jobs.notice(notice, 0)

    jobs.counters.drop("malformed")
    told("first", speech=2, unknown=4)
    told("first", speech=2, unknown=5)
    jobs.counters.drop("malformed")
    assert jobs.counters.malformed == 2 + 5 + 2
    told("second", speech=0, unknown=0)
    told("second", speech=3, unknown=6)
    assert jobs.counters.dropped["malformed", "tts"] == 2 + 3
    assert jobs.counters.dropped["malformed", "unknown"] == 2 + 5 + 6
    assert jobs.counters.malformed == 5 + 13


# --- the dispatcher's end ---


@pytest.fixture
def pool() -> Pool:
    made = Pool(Counters(), unclaimed_ms=1_000)
    made.tick(0)
    return made


def enqueue(pool: Pool, request: Request, gateway: str, now_ms: int = 0) -> list[PoolAction]:
    """Ask as a gateway does."""
    jobs = RemoteJobs(gateway)
    [ask] = jobs.submit(request, now_ms)
    assert isinstance(ask, Ask)
    assert isinstance(ask.request, EnqueueJob)
    return pool.enqueue(ask.request, ask.payload, now_ms)


def sent(actions: list[PoolAction]) -> list[tuple[str, str, int]]:
    return [(a.job.job_id, a.job.reply_to, a.job.attempt) for a in actions if isinstance(a, Send)]


def test_sessions_of_all_gateways_take_turns(pool: Pool) -> None:
    for number in range(3):
        enqueue(pool, request(f"heavy{number}", "heavy"), "gateway-0")
    enqueue(pool, request("light", "light"), "gateway-1")
    pool.status(beat(slots=4), 0)
    order = sent(pool.worker_connected("tts-0", "a", 0))
    assert [job_id for job_id, _, _ in order] == ["heavy0", "light", "heavy1", "heavy2"]
    assert [gateway for _, gateway, _ in order][:2] == ["gateway-0", "gateway-1"]


def test_an_urgent_job_of_one_gateway_goes_before_the_others_jobs(pool: Pool) -> None:
    enqueue(pool, request("later"), "gateway-0")
    enqueue(pool, request("first", "t", urgent=True), "gateway-1")
    pool.status(beat(), 0)
    assert sent(pool.worker_connected("tts-0", "a", 0)) == [("first", "gateway-1", 1)]


def test_a_job_that_is_at_a_worker_stays_there_over_a_restart(pool: Pool) -> None:
    assert pool.status(beat(("j1", 1)), 10) != []
    assert not any(isinstance(a, Cancel) for a in pool.status(beat(("j1", 1)), 250))
    job = EnqueueJob(job=_job("j1", 1), worker_id="tts-0")
    assert pool.enqueue(job, b"", 300) == []
    assert pool.worker_connected("tts-0", "a", 310) == []
    assert pool.status(beat(("j1", 1)), 500) == []
    [told] = pool.status(beat(), 750)
    assert told == Tell("gateway-0", JobReleased(job_id="j1", attempt=1))
    assert len(pool.tries) == 0


def test_what_no_gateway_names_is_cancelled_after_the_restart(pool: Pool) -> None:
    pool.status(beat(("orphan", 1)), 10)
    pool.tick(900)
    assert pool.status(beat(("orphan", 1)), 900) == []
    pool.tick(1_100)
    assert pool.status(beat(("orphan", 1)), 1_100) == [Cancel(("orphan",))]


def test_a_job_whose_worker_does_not_come_back_is_lost(pool: Pool) -> None:
    pool.enqueue(EnqueueJob(job=_job("j1", 1), worker_id="tts-9"), b"", 0)
    assert pool.tick(900) == []
    actions = [a for at_ms in range(1_000, 3_200, 100) for a in pool.tick(at_ms)]
    assert [a.notice.job_id for a in actions if isinstance(a, Tell)] == ["j1"]


def test_a_job_asked_for_twice_is_sent_once(pool: Pool) -> None:
    pool.status(beat(slots=2), 0)
    pool.worker_connected("tts-0", "a", 0)
    assert sent(enqueue(pool, request("j1"), "gateway-0")) == [("j1", "gateway-0", 1)]
    assert enqueue(pool, request("j1"), "gateway-0") == []
    assert enqueue(pool, request("j1"), "gateway-1") == []


def test_a_higher_attempt_takes_the_place_of_the_lower(pool: Pool) -> None:
    enqueue(pool, request("j1"), "gateway-0")
    pool.enqueue(EnqueueJob(job=_job("j1", 2), again=True), b"", 10)
    pool.status(beat(slots=2), 20)
    assert sent(pool.worker_connected("tts-0", "a", 20)) == [("j1", "gateway-0", 2)]


def test_a_beat_drops_what_it_does_not_name_of_its_own_gateway_alone(pool: Pool) -> None:
    pool.status(beat(slots=2), 0)
    pool.worker_connected("tts-0", "a", 0)
    enqueue(pool, request("a"), "gateway-0")
    enqueue(pool, request("b", "t"), "gateway-1")
    actions, unknown = pool.gateway_beat("gateway-0", [OpenJob("other", 3)], 10)
    assert actions == [Cancel(("a",))]
    assert unknown == (OpenJob("other", 3),)
    assert [each.job.job_id for each in pool.tries] == ["b"]


def test_a_gateway_cannot_withdraw_the_jobs_of_another(pool: Pool) -> None:
    enqueue(pool, request("a"), "gateway-0")
    assert pool.withdraw(WithdrawJobs(gateway="gateway-1", job_ids=("a",))) == []
    assert len(pool.tries) == 1


def test_the_jobs_of_a_silent_gateway_are_dropped(pool: Pool) -> None:
    pool.gateway_beat("gateway-0", [], 0)
    enqueue(pool, request("a"), "gateway-0")
    assert pool.drop_silent_gateways(3_000) == []
    assert len(pool.tries) == 1
    pool.drop_silent_gateways(3_001)
    assert len(pool.tries) == 0


def _job(job_id: str, attempt: int) -> Job:
    jobs = RemoteJobs("gateway-0")
    [ask] = jobs.submit(request(job_id), 0)
    assert isinstance(ask, Ask)
    assert isinstance(ask.request, EnqueueJob)
    return msgspec.structs.replace(ask.request.job, attempt=attempt)


def test_a_beat_that_found_no_dispatcher_is_repeated_as_soon_as_there_is_one() -> None:
    jobs = RemoteJobs("gateway-0")
    [ask] = jobs.tick(0)
    assert isinstance(ask, Ask)
    jobs.unasked(ask.request)
    assert jobs.alone
    assert jobs.tick(1) == [ask]
    assert not jobs.alone
    assert jobs.tick(2) == []
