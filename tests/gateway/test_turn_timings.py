"""Where the time of a turn went: parts of the one path that the sound waited for."""

import pytest
from session_rig import END, PAUSE, SPEECH, Rig

from antiphon_gateway.capture_clock import CaptureClock, Heard
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.turn_timings import Played, TurnTimings
from antiphon_proto.config import Config

MARKS = {
    "pause_seen": 1_128.0,
    "transcript": 1_220.0,
    "model_first_text": 1_280.0,
    "first_clause": 1_340.0,
    "first_audio": 1_400.0,
    "endpoint": 1_300.0,
    "audio_sent": 1_401.0,
}


def timings(asked_at: str = "transcript", **marks: float) -> TurnTimings:
    made = TurnTimings(1, 1_000.0, Heard(captured_ms=51_000.0, arrived_ms=1_010.0))
    marked = {**MARKS, **marks}
    before = list(MARKS)[: list(MARKS).index(asked_at) + 1] if asked_at != "endpoint" else MARKS
    for step in before:
        if asked_at != "endpoint" or step in ("pause_seen", "transcript", "endpoint"):
            made.mark(step, marked[step])
    made.begin_response()
    for step, at_ms in marked.items():
        made.mark(step, at_ms)
    return made


def test_each_moment_belongs_to_one_part() -> None:
    assert timings().parts_ms() == {
        "endpoint_wait": 118.0,
        "stt": 92.0,
        "llm_first_text": 60.0,
        "llm_first_clause": 60.0,
        "tts_first_audio": 60.0,
        "hold": 1.0,
    }


def test_audio_that_is_ready_before_the_turn_is_over_is_held() -> None:
    parts = timings(endpoint=1_600.0, audio_sent=1_600.0).parts_ms()
    assert parts["hold"] == 200.0
    assert sum(parts.values()) == 590.0


def test_a_response_begun_at_the_end_of_the_turn_waited_for_it() -> None:
    late = {"model_first_text": 1_400.0, "first_clause": 1_450.0, "first_audio": 1_500.0}
    parts = timings("endpoint", audio_sent=1_500.0, **late).parts_ms()
    assert parts["endpoint_wait"] == 118.0 + 80.0
    assert parts["llm_first_text"] == 100.0
    assert sum(parts.values()) == 490.0


def test_words_known_at_the_pause_need_no_transcript() -> None:
    parts = timings("pause_seen", transcript=1_390.0).parts_ms()
    assert parts["stt"] == 0.0
    assert parts["llm_first_text"] == 152.0
    assert sum(parts.values()) == 391.0


@pytest.mark.parametrize("ahead_ms", [-3_600_000.0, 0.0, 50_000.0])
@pytest.mark.parametrize("one_way_ms", [0.0, 35.0])
def test_the_clocks_of_client_and_server_need_not_agree(ahead_ms: float, one_way_ms: float) -> None:
    clock = CaptureClock()
    for number in range(50):
        captured_ms = 4_000_000.0 + number * 20
        arrived_ms = captured_ms + 20 + one_way_ms
        clock.note(0.02, round((captured_ms + ahead_ms) * 1000), arrived_ms)
    heard = clock.at(50 * 320)
    assert heard is not None
    made = TurnTimings(1, 4_001_000.0, heard)
    made.mark("audio_sent", heard.arrived_ms + 300)
    sent_ms = heard.arrived_ms + 300 + ahead_ms
    played = Played(sent_ms + one_way_ms, sent_ms + one_way_ms + 80, sent_ms + one_way_ms + 100)
    wait = made.mouth_to_ear(played, clock)
    assert wait is not None
    assert wait.total_ms == pytest.approx(300 + 2 * one_way_ms + 100)
    assert wait.parts_ms["capture_uplink"] == pytest.approx(one_way_ms)
    assert wait.parts_ms["downlink"] == pytest.approx(one_way_ms)
    assert (wait.parts_ms["jitter_buffer"], wait.parts_ms["playout"]) == (80.0, 20.0)
    assert sum(wait.parts_ms.values()) == pytest.approx(wait.total_ms, abs=1.0)


def test_a_client_without_capture_times_has_no_whole_wait() -> None:
    clock = CaptureClock()
    clock.note(1.0, None, 2_000.0)
    made = TurnTimings(1, 1_900.0, clock.at(8_000))
    made.mark("audio_sent", 2_500.0)
    assert made.heard == Heard(None, 2_000.0)
    assert made.mouth_to_ear(Played(1.0, 2.0, 3.0), clock) is None


def test_a_sample_that_is_no_longer_or_not_yet_known_is_not_guessed() -> None:
    clock = CaptureClock()
    assert clock.at(100) is None
    clock.note(0.02, 0, 20.0)
    assert clock.at(160) == Heard(10.0, 20.0)
    assert clock.at(50_000) is None


# --- in a session ----------------------------------------------------------------------------


def answered(rig: Rig) -> str:
    """Hold a turn up to its first audio; return the item."""
    rig.speak(SPEECH + PAUSE)
    rig.pass_time(40)
    rig.transcribe("What time is it?")
    rig.pass_time(60)
    rig.generate("It is noon.")
    rig.pass_time(50)
    rig.synthesize(500)
    rig.speak(END)
    return rig.audio[0].item_id


def played(rig: Rig, item_id: str, at_ms: float) -> None:
    at_us = round((at_ms + rig.client_ahead_ms) * 1000)
    times = {"received_us": at_us, "started_us": at_us + 80_000, "heard_us": at_us + 95_500}
    rig.send(type="antiphon.turn.played", item_id=item_id, **times)


def test_a_session_tells_the_whole_wait_once_the_client_has_played() -> None:
    rig = Rig(extensions=True, config=Config())
    item_id = answered(rig)
    first = rig.last("antiphon.turn.metrics")
    assert not first["complete"]
    assert first["mouth_to_ear_ms"] is None
    rig.events.clear()
    played(rig, item_id, rig.now_ms + 7)
    whole = rig.last("antiphon.turn.metrics")
    assert whole["complete"]
    assert sum(whole["parts_ms"].values()) == pytest.approx(whole["mouth_to_ear_ms"], abs=1.0)
    assert set(whole["parts_ms"]) == {
        "capture_uplink",
        "endpoint_wait",
        "stt",
        "llm_first_text",
        "llm_first_clause",
        "tts_first_audio",
        "hold",
        "downlink",
        "jitter_buffer",
        "playout",
    }
    assert whole["parts_ms"]["jitter_buffer"] == 80.0
    assert whole["parts_ms"]["stt"] >= 40.0
    rig.events.clear()
    played(rig, item_id, rig.now_ms)
    assert "antiphon.turn.metrics" not in rig.types()


def test_times_that_do_not_follow_each_other_are_refused() -> None:
    rig = Rig(extensions=True)
    item_id = answered(rig)
    times = {"received_us": 5, "started_us": 4, "heard_us": 6}
    with pytest.raises(InvalidEvent, match="started_us") as refused:
        rig.send(type="antiphon.turn.played", item_id=item_id, **times)
    assert refused.value.code == "invalid_value"


def test_what_is_played_of_an_unknown_item_is_not_told() -> None:
    rig = Rig(extensions=True)
    answered(rig)
    rig.events.clear()
    played(rig, "nowhere", rig.now_ms)
    assert rig.types() == []
