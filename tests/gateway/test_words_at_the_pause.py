"""The words at a pause: from a partial transcript that has them all, or from the final one."""

from typing import Any

import pytest
from session_rig import Rig, messages_asked, turn_detection

from antiphon_gateway.dispatch.load import StageLoad
from antiphon_proto.config import Config, TurnTaking
from antiphon_proto.messages import (
    ChatMessage,
    Done,
    Failed,
    Generate,
    ResultBody,
    Transcribe,
    Transcript,
)

ASKED = "x" * 19
"""Speech after which a partial transcript is asked for."""
PAUSE = "..."
WORDS = "What time is it?"


def rig_of(*, extensions: bool = False, **taking: Any) -> Rig:
    """Return a session in which partial transcripts may be final ones."""
    config = Config(turn_taking=TurnTaking(**{"warming": False, **taking}))
    return Rig(config=config, partial_as_final=True, extensions=extensions)


def transcriptions(rig: Rig) -> list[bool]:
    """Return for each transcription that was asked for whether it was a final one."""
    commands = [request.command for request in rig.submissions]
    return [one.final for one in commands if isinstance(one, Transcribe)]


def end_turn(rig: Rig) -> None:
    """Let the turn end; nothing tells of its end but silence."""
    rig.speak("." * 5)
    rig.sound(0.99)
    rig.speak("." * 25)


def test_a_partial_that_has_all_words_is_the_final_transcript() -> None:
    rig = rig_of()
    rig.speak(ASKED)
    rig.transcribe(WORDS)
    rig.speak("x" * 3 + PAUSE)
    assert messages_asked(rig) == [ChatMessage("user", WORDS)]
    assert transcriptions(rig) == [False]
    end_turn(rig)
    completed = rig.last("conversation.item.input_audio_transcription.completed")
    assert completed["transcript"] == WORDS
    assert rig.types().count("response.created") == 1
    assert transcriptions(rig) == [False]


def test_a_partial_that_misses_the_end_of_the_speech_is_not() -> None:
    rig = rig_of()
    rig.speak(ASKED)
    rig.transcribe("What time")
    rig.speak("x" * 5 + PAUSE)
    assert transcriptions(rig) == [False, True]
    assert rig.submitted(Generate) == 0


def test_a_partial_under_way_that_has_all_words_is_awaited() -> None:
    rig = rig_of()
    rig.speak(ASKED + "x" * 3 + PAUSE)
    assert transcriptions(rig) == [False]
    assert rig.submitted(Generate) == 0
    rig.transcribe(WORDS)
    assert messages_asked(rig) == [ChatMessage("user", WORDS)]
    end_turn(rig)
    assert transcriptions(rig) == [False]


@pytest.mark.parametrize(
    "answer",
    [
        [Transcript(text=""), Done(engine_ms=1)],
        [Failed(code="deadline_exceeded", message="", retryable=False)],
    ],
    ids=["no words", "failed"],
)
def test_a_partial_that_brings_nothing_is_followed_by_the_final_one(
    answer: list[ResultBody],
) -> None:
    rig = rig_of()
    rig.speak(ASKED + "x" * 3 + PAUSE)
    job = rig.job(Transcribe)
    for body in answer:
        rig.answer(job, body)
    assert transcriptions(rig) == [False, True]
    rig.transcribe(WORDS)
    assert messages_asked(rig) == [ChatMessage("user", WORDS)]


def test_a_partial_that_waits_for_a_worker_is_not_waited_for() -> None:
    rig = rig_of()
    rig.speak(ASKED)
    partial = rig.job(Transcribe)
    rig.load = StageLoad(waiting=1, slots=4)
    rig.speak(PAUSE)
    assert partial.job_id in rig.cancelled
    assert transcriptions(rig) == [False, True]


def test_a_turn_that_ends_while_its_partial_is_under_way_asks_for_the_final_one() -> None:
    rig = rig_of()
    turn_detection(rig, {"type": "server_vad", "silence_duration_ms": 160})
    rig.speak(ASKED + "." * 5)
    assert transcriptions(rig) == [False, True]
    rig.transcribe(WORDS)
    assert messages_asked(rig) == [ChatMessage("user", WORDS)]


def test_words_after_the_pause_void_what_was_taken() -> None:
    rig = rig_of()
    rig.speak(ASKED)
    rig.transcribe(WORDS)
    rig.speak(PAUSE)
    model = rig.job(Generate)
    rig.speak("x" * 6)
    assert model.job_id in rig.cancelled
    rig.speak(PAUSE)
    assert transcriptions(rig)[-1]
    rig.jobs = {key: job for key, job in rig.jobs.items() if job.command == Transcribe(final=True)}
    rig.transcribe("What time is it in Oslo?")
    assert messages_asked(rig) == [ChatMessage("user", "What time is it in Oslo?")]


def test_how_sure_the_partial_is_counts_for_the_end_of_the_turn() -> None:
    silences = []
    for log_probability in (-0.05, -0.9):
        rig = rig_of()
        rig.speak(ASKED)
        job = rig.job(Transcribe)
        rig.answer(job, Transcript(text=WORDS, average_log_probability=log_probability))
        rig.answer(job, Done(engine_ms=1))
        rig.speak(PAUSE)
        rig.message_end(WORDS, 0.2)
        rig.speak("." * 60)
        silences.append(rig.turn_ends[0].silence_ms)
    assert silences[0] < silences[1]


def test_it_can_be_turned_off() -> None:
    rig = Rig()
    rig.speak(ASKED)
    rig.transcribe(WORDS)
    rig.speak(PAUSE)
    assert transcriptions(rig) == [False, True]


# --- when the voice falls ------------------------------------------------------------------


def test_a_partial_is_asked_for_when_the_voice_falls() -> None:
    rig = rig_of()
    rig.speak("X" * 12)
    assert transcriptions(rig) == []
    rig.speak("x")
    assert transcriptions(rig) == [False]
    rig.transcribe(WORDS)
    rig.speak("x" + PAUSE)
    assert messages_asked(rig) == [ChatMessage("user", WORDS)]


def test_each_fall_asks_once() -> None:
    rig = rig_of()
    for falls in (1, 2, 3):
        rig.speak("X" * 5 + "xxx")
        assert transcriptions(rig) == [False] * falls
        rig.transcribe("What time")
        rig.speak("xx")
        assert transcriptions(rig) == [False] * falls


@pytest.mark.parametrize(
    "taking", [{"partial_when_quiet": False}, {"partial_interval_ms": 0}], ids=["off", "none"]
)
def test_no_partial_is_asked_for_early_where_none_is_wanted(taking: dict[str, Any]) -> None:
    rig = rig_of(**taking)
    rig.speak("X" * 12 + "xx")
    assert transcriptions(rig) == []


def test_no_partial_is_asked_for_early_by_a_busy_machine() -> None:
    rig = rig_of()
    rig.load = StageLoad(running=2, slots=4)
    rig.speak("X" * 12 + "xx")
    assert transcriptions(rig) == []


def test_hypotheses_about_nearly_the_same_sound_make_no_word_stable() -> None:
    rig = rig_of(extensions=True)
    rig.speak("X" * 19)
    for later in ("x", "Xx", "X" * 16):
        rig.transcribe("you know what")
        assert rig.last("antiphon.transcript.partial")["stable"] == ""
        rig.speak(later)
    rig.speak("x")
    rig.transcribe("you know what")
    assert rig.last("antiphon.transcript.partial")["stable"] == "you know"
