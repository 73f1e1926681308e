"""Who gets which job, what ends a job, which result counts."""

import pytest

from antiphon_gateway.dispatch.actions import Cancel, Connect, Send
from antiphon_gateway.dispatch.jobs import MAX_JOB_BYTES
from antiphon_gateway.dispatch.tries import MAX_WAITING_JOBS
from antiphon_proto.channel import MAX_MESSAGE_BYTES
from antiphon_proto.messages import (
    AudioDelta,
    Done,
    ResultBody,
    Synthesize,
    TextDelta,
    Transcribe,
)

from .conftest import Desk

SPEAK = Synthesize(text="Hello there.", voice="joe")
PARTIAL = Transcribe(final=False)
FINAL = Transcribe(final=True)
AUDIO = AudioDelta(sample_rate_hz=24_000)
DONE = Done(engine_ms=1.0)

# --- credits and order ---------------------------------------------------------------------------


def test_the_first_heartbeat_connects_and_only_the_connection_brings_jobs(desk: Desk) -> None:
    desk.submit("j1")
    assert desk.actions == []
    desk.beat()
    assert desk.actions == [Connect("tts-0", "a", "ipc:///run/tts-0.a.jobs", 1)]
    desk.actions = desk.scheduler.worker_connected("tts-0", "a", 0)
    assert desk.sent == [("tts-0", "j1", 1)]


def test_a_worker_holds_no_more_jobs_than_slots(desk: Desk) -> None:
    desk.join(slots=2)
    for number in range(4):
        desk.submit(f"j{number}")
    assert desk.actions == []
    desk.result("j0", 1, 0, DONE)
    assert desk.sent == []
    desk.finished("j0")
    assert desk.sent == [("tts-0", "j2", 1)]


def test_a_second_clause_leaves_the_last_slot_to_another_sessions_first(desk: Desk) -> None:
    desk.join("tts-0")
    desk.join("tts-1")
    desk.submit("other", session="s2", urgent=True)
    desk.cancel("other")
    desk.finished("other")
    desk.submit("j1")
    assert desk.sent == [("tts-1", "j1", 1)]
    desk.submit("j2")
    assert desk.sent == []
    desk.submit("first", session="s2", urgent=True)
    assert desk.sent == [("tts-0", "first", 1)]
    desk.result("j1", 1, 0, DONE)
    desk.finished("j1", worker_id="tts-1")
    assert desk.sent == []
    desk.tick(2_900)
    assert desk.sent == []
    desk.tick(100)
    assert desk.sent == [("tts-1", "j2", 1)]


def test_a_worker_is_told_how_long_nobody_waits_yet(desk: Desk) -> None:
    """Counted from when the job was asked for, also where it is made again."""

    def told_ms() -> list[int]:
        return [each.job.patience_ms for each in desk.actions if isinstance(each, Send)]

    desk.submit("j1", patience_ms=2_000)
    desk.now_ms += 500
    desk.join()
    assert told_ms() == [1_500]
    desk.tick(100)
    desk.lose()
    desk.join("tts-1")
    assert told_ms() == [1_400]
    desk.submit("j2", patience_ms=2_000, urgent=True)
    desk.finished("j1", worker_id="tts-1", attempt=2)
    assert told_ms() == [0]


def test_speech_goes_to_who_speaks_its_language_and_waits_for_it(desk: Desk) -> None:
    german = Synthesize(text="Guten Tag.", voice="", language="de")
    desk.join("tts-0", languages=("en",))
    desk.join("tts-1", languages=("en", "de"))
    desk.submit("j1", german)
    assert desk.sent == [("tts-1", "j1", 1)]
    desk.submit("j2", german, session="s2")
    assert desk.sent == []
    desk.submit("j3", Synthesize(text="Hello.", voice="", language="en"), session="s3")
    assert desk.sent == [("tts-0", "j3", 1)]
    desk.finished("j1", worker_id="tts-1")
    assert desk.sent == [("tts-1", "j2", 1)]


def test_a_language_that_nobody_speaks_is_spoken_by_anybody(desk: Desk) -> None:
    desk.join("tts-0", languages=("en",))
    desk.submit("j1", Synthesize(text="Bonjour.", voice="", language="fr"))
    assert desk.sent == [("tts-0", "j1", 1)]


def test_who_does_not_tell_its_languages_may_speak_all(desk: Desk) -> None:
    desk.join("tts-0", languages=("en",))
    desk.join("tts-1")
    desk.submit("j1", Synthesize(text="Bonjour.", voice="", language="fr"))
    assert desk.sent == [("tts-1", "j1", 1)]


def test_of_those_that_speak_a_language_one_with_the_voice_is_preferred(desk: Desk) -> None:
    desk.join("tts-0", voices=("amy",), slots=2)
    desk.join("tts-1", voices=("joe",), slots=2)
    chosen = []
    for number in range(3):
        desk.submit(f"j{number}", SPEAK, session=f"s{number}")
        chosen += [name for name, _, _ in desk.sent]
    assert chosen == ["tts-1", "tts-1", "tts-0"]


def test_the_least_loaded_worker_is_chosen(desk: Desk) -> None:
    desk.join("tts-0", slots=4)
    desk.join("tts-1", slots=2)
    chosen = []
    for number in range(6):
        desk.submit(f"j{number}", session=f"s{number}")
        chosen.append(desk.sent[0][0])
    assert chosen.count("tts-0") == 4
    assert chosen[:3].count("tts-1") == 1


def test_sessions_take_turns(desk: Desk) -> None:
    desk.join()
    desk.submit("busy", session="x")
    for number in range(3):
        desk.submit(f"heavy{number}", session="heavy")
    desk.submit("light", session="light")
    order = []
    current = "busy"
    for _ in range(4):
        desk.cancel(current)
        desk.finished(current)
        current = desk.sent[0][1]
        order.append(current)
    assert order == ["heavy0", "light", "heavy1", "heavy2"]


def test_an_urgent_job_goes_first(desk: Desk) -> None:
    desk.join()
    for name, urgent in [("busy", False), ("later", False), ("first", True)]:
        desk.submit(name, urgent=urgent)
    desk.complete("busy")
    assert desk.sent == [("tts-0", "first", 1)]


def test_a_newer_partial_takes_the_place_of_a_waiting_one(desk: Desk) -> None:
    desk.submit("p1", PARTIAL)
    desk.submit("other", PARTIAL, session="t")
    desk.submit("p2", PARTIAL)
    assert desk.failures == {"p1": "superseded"}
    desk.join("stt-0", stage="stt")
    assert desk.sent == [("stt-0", "p2", 1)]


def test_a_final_replaces_a_waiting_partial_and_is_replaced_by_nothing(desk: Desk) -> None:
    desk.submit("p1", PARTIAL)
    desk.submit("f1", FINAL)
    assert desk.failures == {"p1": "superseded"}
    desk.submit("p2", PARTIAL)
    assert desk.failures == {}
    assert len(desk.scheduler.pool.tries.waiting("stt")) == 2


def test_a_lost_partial_is_not_made_again_when_a_newer_one_waits(desk: Desk) -> None:
    desk.join("stt-0", stage="stt")
    desk.submit("p1", PARTIAL)
    desk.submit("p2", PARTIAL)
    desk.lose("stt-0")
    assert desk.failures == {"p1": "superseded"}


def test_a_full_queue_refuses(desk: Desk) -> None:
    for number in range(MAX_WAITING_JOBS):
        desk.submit(f"j{number}")
        assert desk.failures == {}
    desk.submit("over")
    assert desk.failures == {"over": "stage_overloaded"}
    desk.submit("elsewhere", FINAL)
    assert desk.failures == {}


def test_payload_that_waits_is_bounded(desk: Desk) -> None:
    payload = bytes(MAX_JOB_BYTES)
    accepted = 0
    while not desk.failures:
        desk.submit(f"j{accepted}", FINAL, session=f"s{accepted}", payload=payload)
        accepted += 1
    assert set(desk.failures.values()) == {"stage_overloaded"}
    assert (accepted - 1) * MAX_JOB_BYTES <= 64 * 1024 * 1024


def test_a_job_that_no_channel_carries_fails(desk: Desk) -> None:
    assert MAX_JOB_BYTES < MAX_MESSAGE_BYTES
    desk.submit("j1", FINAL, payload=bytes(MAX_JOB_BYTES + 1))
    assert desk.failures == {"j1": "job_too_large"}


def test_a_job_id_in_use_is_an_error(desk: Desk) -> None:
    desk.submit("j1")
    with pytest.raises(ValueError, match="'j1' is in use"):
        desk.submit("j1")


# --- budgets and cancellation --------------------------------------------------------------------


def test_a_job_waits_for_a_worker_until_its_budget_is_spent(desk: Desk) -> None:
    desk.submit("j1", budget_ms=5_000)
    desk.tick(4_900)
    assert desk.actions == []
    desk.tick(100)
    assert desk.failures == {"j1": "deadline_exceeded"}
    assert len(desk.scheduler.jobs) == 0


def test_a_running_job_over_budget_fails_and_is_cancelled(desk: Desk) -> None:
    desk.join()
    desk.now_ms = 400
    desk.submit("j1", budget_ms=1_000)
    assert [s.job.budget_ms for s in desk.asked(Send)] == [1_000]
    desk.tick(1_000)
    assert desk.failures == {"j1": "deadline_exceeded"}
    assert desk.asked(Cancel) == [Cancel(("j1",), through_attempt=1)]


def test_after_cancel_nothing_is_delivered_and_the_slot_stays_taken(desk: Desk) -> None:
    desk.join()
    desk.submit("j1")
    desk.submit("j2")
    desk.cancel("j1", "unknown")
    assert desk.actions == [Cancel(("j1",))]
    desk.result("j1", 1, 0, AUDIO, b"\1\0")
    assert desk.actions == []
    desk.finished("j1")
    assert desk.sent == [("tts-0", "j2", 1)]


def test_a_cancelled_job_that_waits_costs_no_message(desk: Desk) -> None:
    desk.submit("j1")
    desk.cancel("j1")
    assert desk.actions == []
    desk.join()
    assert desk.sent == []


def test_a_heartbeat_with_unwanted_jobs_has_them_cancelled_again(desk: Desk) -> None:
    desk.join()
    desk.submit("j1")
    desk.cancel("j1")
    desk.beat(running=("j1", "foreign"))
    assert desk.asked(Cancel) == [Cancel(("j1", "foreign"))]


# --- fence ---------------------------------------------------------------------------------------


def test_only_the_next_result_of_the_current_try_counts(desk: Desk) -> None:
    desk.join()
    desk.submit("j1")
    desk.result("j1", 2, 0, AUDIO, b"\1\0")
    assert desk.actions == []
    desk.result("j1", 1, 0, AUDIO, b"\1\0")
    assert desk.delivered == [b"\1\0"]
    desk.result("j1", 1, 0, AUDIO, b"\1\0")
    assert desk.actions == []
    desk.cancel("j1")
    desk.result("j1", 1, 1, AUDIO, b"\1\0")
    desk.result("j1", 1, 2, DONE)
    assert desk.scheduler.counters.fenced == 4
    assert desk.scheduler.counters.dropped == {("fenced", "tts"): 3, ("fenced", "unknown"): 1}


@pytest.mark.parametrize(
    ("index", "body", "payload"),
    [
        (1, AUDIO, b"\1\0"),
        (0, AUDIO, b"\1"),
        (0, AudioDelta(sample_rate_hz=0), b"\1\0"),
        (0, TextDelta(text="not speech"), b""),
    ],
)
def test_a_broken_result_stream_voids_the_try(
    desk: Desk, index: int, body: ResultBody, payload: bytes
) -> None:
    desk.join("tts-0")
    desk.join("tts-1")
    desk.submit("j1")
    desk.result("j1", 1, index, body, payload)
    assert desk.asked(Cancel) == [Cancel(("j1",), through_attempt=1)]
    assert desk.sent == [("tts-1", "j1", 2)]
