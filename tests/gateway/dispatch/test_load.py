"""How busy a stage is, as sessions ask before they begin work that may prove void."""

from antiphon_gateway.dispatch.load import StageLoad, load
from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.dispatch.scheduler import Scheduler
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    Generate,
    Heartbeat,
)


def request(number: int) -> Request:
    messages = (ChatMessage("user", "Hi"),)
    return Request(
        job_id=f"j{number}",
        session_id="s",
        turn_id=1,
        revision=0,
        command=Generate(messages=messages, max_output_tokens=1, temperature=0.0),
        budget_ms=10_000,
    )


def test_waiting_and_running_jobs_are_told_apart() -> None:
    scheduler = Scheduler("g")
    assert load(scheduler.pool, "llm", 0) == StageLoad()
    beat = Heartbeat(
        worker_id="llm-0",
        incarnation="a",
        stage="llm",
        endpoint="ipc:///x.jobs",
        slots=2,
        engine="e",
        model="m",
        pid=1,
    )
    scheduler.status(beat, 0)
    scheduler.worker_connected("llm-0", "a", 0)
    for number, at_ms in enumerate((100, 110, 120, 150)):
        scheduler.submit(request(number), at_ms)
    assert load(scheduler.pool, "llm", 200) == StageLoad(
        waiting=2, oldest_wait_ms=80, running=2, slots=2
    )
    assert load(scheduler.pool, "tts", 200) == StageLoad()
