"""When a busy stage refuses new sessions, and when it takes them again."""

import pytest

from antiphon_gateway.admission import MIN_SAMPLES, WINDOW_MS, Admission
from antiphon_gateway.callers import Caller
from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.door import Door
from antiphon_gateway.job_times import JobTimes
from antiphon_gateway.seats import Refusal
from antiphon_gateway.security import Handshake
from antiphon_proto.config import Gateway
from antiphon_proto.messages import Command, Generate, Stage, Transcribe

LIMIT_MS = 1_000


def admission(*waits_ms: int, stage: Stage = "stt") -> Admission:
    """Return an admission of which the stage's jobs have waited so long, just before time 0."""
    made = Admission(LIMIT_MS)
    for waited_ms in waits_ms:
        made.note(stage, waited_ms, 0)
    return made


def test_nothing_is_refused_before_anything_was_measured() -> None:
    assert Admission(LIMIT_MS).judge({}, 0) == set()


def test_a_stage_whose_urgent_jobs_wait_too_long_refuses_and_others_do_not_count() -> None:
    assert admission(*[1_001] * MIN_SAMPLES).judge({}, 0) == {"stt"}
    assert admission(*[1_000] * MIN_SAMPLES).judge({}, 0) == set()
    mixed = admission(*[1] * 100, stage="llm")
    for _ in range(MIN_SAMPLES):
        mixed.note("tts", 5_000, 0)
    assert mixed.judge({}, 0) == {"tts"}


def test_a_few_slow_jobs_are_not_overload() -> None:
    assert admission(*[9_000] * (MIN_SAMPLES - 1)).judge({}, 0) == set()
    assert admission(*[1] * 96, *[9_000] * 4).judge({}, 0) == set()
    assert admission(*[1] * 94, *[9_000] * 6).judge({}, 0) == {"stt"}


def test_jobs_that_still_wait_count_so_that_a_stage_that_serves_none_refuses() -> None:
    assert Admission(LIMIT_MS).judge({"llm": [1_500] * MIN_SAMPLES}, 0) == {"llm"}


def test_it_refuses_until_waits_are_half_of_the_limit() -> None:
    busy = admission(*[2_000] * MIN_SAMPLES)
    assert busy.judge({}, 0) == {"stt"}
    later_ms = WINDOW_MS + 1
    for _ in range(100):
        busy.note("stt", 600, later_ms)
    assert busy.judge({}, later_ms) == {"stt"}
    for _ in range(2_000):
        busy.note("stt", 500, later_ms)
    assert busy.judge({}, later_ms) == set()
    assert busy.judge({}, later_ms) == set()


def test_it_recovers_by_itself_when_nothing_is_left_to_wait() -> None:
    busy = admission(*[9_000] * MIN_SAMPLES)
    assert busy.judge({}, WINDOW_MS) == {"stt"}
    assert busy.judge({}, WINDOW_MS + 1) == set()


def test_limit_0_never_refuses() -> None:
    off = Admission(0)
    for _ in range(10):
        off.note("stt", 60_000, 0)
    assert off.judge({"stt": [60_000] * 10}, 0) == set()


def test_the_door_is_closed_to_all_with_a_time_to_come_back() -> None:
    busy: set[Stage] = {"tts"}
    door = Door(Gateway(), lambda: frozenset(busy))
    caller = Caller("127.0.0.1", True)
    refusal = door.enter(Handshake("localhost"), caller, 0.0)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.cause, refusal.retry_after_s) == (503, "overloaded", 10)
    assert "tts" in refusal.message
    assert door.seats.taken == 0
    busy.clear()
    assert not isinstance(door.enter(Handshake("localhost"), caller, 0.0), Refusal)


def test_only_whom_a_busy_stage_keeps_out_is_told_of() -> None:
    told: list[str] = []
    door = Door(Gateway(), lambda: frozenset({"tts"}))
    door.tell_of_overload = lambda: told.append("overload")
    caller = Caller("127.0.0.1", True)
    assert door.busy() == {"tts"}
    assert not isinstance(door.admit(Handshake("localhost"), caller, ["llm"]), Refusal)
    assert told == []
    assert isinstance(door.admit(Handshake("localhost"), caller, ["tts"]), Refusal)
    assert isinstance(door.enter(Handshake("localhost"), caller, 0.0), Refusal)
    assert told == ["overload"] * 2


class Noted:
    """What was told of the times of jobs."""

    def __init__(self) -> None:
        self.waits: list[tuple[Stage, bool, int]] = []
        self.ends: list[tuple[Stage, str, str, int]] = []
        self.times = JobTimes(
            lambda stage, urgent, waited_ms, _: self.waits.append((stage, urgent, waited_ms)),
            lambda *end: self.ends.append(end),
        )

    def submit(self, job_id: str, command: Command, now_ms: int, *, urgent: bool = False) -> None:
        request = Request(
            job_id=job_id,
            session_id="s",
            turn_id=1,
            revision=0,
            command=command,
            budget_ms=1_000,
            urgent=urgent,
        )
        self.times.submitted(request, now_ms)


def test_a_job_waits_until_its_first_attempt_and_ends_once() -> None:
    noted = Noted()
    noted.submit("a", Transcribe(final=True), 100, urgent=True)
    assert noted.times.urgent_waiting_ms(150)["stt"] == [50]
    noted.times.sent("a", 160)
    noted.times.sent("a", 400)
    assert noted.times.urgent_waiting_ms(500)["stt"] == []
    noted.times.ended("a", "done", 600)
    noted.times.ended("a", "cancelled", 700)
    noted.times.sent("unknown", 700)
    assert noted.waits == [("stt", True, 60)]
    assert noted.ends == [("stt", "transcribe_final", "done", 500)]


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (Transcribe(final=False), "transcribe_partial"),
        (Generate(messages=(), max_output_tokens=1, temperature=0.0), "generate"),
    ],
)
def test_jobs_are_told_apart_by_kind(command: Command, kind: str) -> None:
    noted = Noted()
    noted.submit("a", command, 0)
    assert noted.times.urgent_waiting_ms(50) == {"stt": [], "llm": [], "tts": []}
    noted.times.ended("a", "failed", 7)
    assert [end[1] for end in noted.ends] == [kind]
