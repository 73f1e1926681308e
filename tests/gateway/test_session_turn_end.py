"""How a session ends turns from evidence that arrives early, late or never."""

import pytest
from session_rig import PAUSE, SPEECH, Rig, turn_detection

from antiphon_gateway.effects import NoteTurnEnd
from antiphon_proto.config import Config, TurnTaking
from antiphon_proto.messages import Done, Failed, Generate, PredictTurnEnd, Transcribe

QUESTION = "What time is it in Rome?"
STOPPED = "input_audio_buffer.speech_stopped"


def paused(rig: Rig, windows: int = 3) -> None:
    rig.speak(SPEECH + "." * windows)


def test_words_that_leave_no_doubt_need_no_sound() -> None:
    rig = Rig()
    paused(rig)
    rig.transcribe(QUESTION)
    rig.message_end(QUESTION, 0.6)
    rig.speak("." * 12)
    assert STOPPED in rig.types()
    assert rig.submitted(PredictTurnEnd) == 0


def test_the_sound_is_asked_for_as_soon_as_the_words_leave_doubt() -> None:
    rig = Rig()
    paused(rig)
    rig.transcribe(QUESTION)
    assert rig.submitted(PredictTurnEnd) == 0
    rig.message_end(QUESTION, 0.01)
    asked = rig.job(PredictTurnEnd)
    assert asked.urgent
    rig.speak("." * 12)
    assert rig.submitted(PredictTurnEnd) == 1


def test_the_sound_is_asked_for_in_time_when_the_model_says_nothing() -> None:
    rig = Rig()
    paused(rig, windows=7)
    assert rig.submitted(PredictTurnEnd) == 0
    rig.speak(".")
    assert rig.submitted(PredictTurnEnd) == 1


def test_the_model_of_turn_ends_hears_64_ms_of_the_silence() -> None:
    rig = Rig()
    paused(rig, windows=8)
    late = rig.job(PredictTurnEnd).payload
    rig = Rig()
    paused(rig)
    rig.transcribe(QUESTION)
    rig.message_end(QUESTION, 0.01)
    assert rig.job(PredictTurnEnd).payload == late


def test_the_turn_ends_with_the_evidence_that_makes_it_sure() -> None:
    rig = Rig()
    rig.speak(SPEECH + PAUSE)
    rig.transcribe(QUESTION)
    rig.message_end(QUESTION, 0.2)
    rig.speak(".")
    assert STOPPED not in rig.types()
    rig.sound(0.98)
    assert STOPPED in rig.types()


def test_evidence_that_speaks_against_the_end_makes_it_wait() -> None:
    rig = Rig()
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("Would you please turn?")
    rig.message_end("Would you please turn?", 0.001)
    rig.sound(0.9)
    rig.speak("." * 20)
    assert STOPPED not in rig.types()
    rig.speak("." * 36)
    assert STOPPED in rig.types()


def test_what_was_scored_of_other_words_is_no_evidence() -> None:
    rig = Rig()
    paused(rig, windows=8)
    rig.sound(0.98)
    rig.message_end("What time is it", 1.0)
    rig.transcribe(QUESTION)
    rig.message_end("What time", 1.0)
    assert STOPPED not in rig.types()


def test_who_pauses_long_in_the_middle_of_turns_is_waited_for() -> None:
    rig = Rig()
    rig.speak(SPEECH)
    for _ in range(3):
        rig.speak("." * 25 + SPEECH + ("..." + SPEECH) * 4)
    paused(rig)
    while any(isinstance(job.command, Transcribe) for job in rig.jobs.values()):
        rig.transcribe(QUESTION)
    rig.speak("." * 20)
    assert STOPPED not in rig.types()
    rig.speak("." * 6)
    assert STOPPED in rig.types()


def test_a_resumption_voids_the_evidence_and_its_question() -> None:
    rig = Rig()
    paused(rig, windows=8)
    asked = rig.job(PredictTurnEnd)
    rig.transcribe(QUESTION)
    rig.speak(SPEECH)
    assert asked.job_id in rig.cancelled
    rig.message_end(QUESTION, 1.0)
    rig.speak("." * 20)
    assert STOPPED not in rig.types()


def test_the_sound_of_a_pause_is_asked_for_once() -> None:
    rig = Rig()
    paused(rig, windows=10)
    rig.sound(0.1)
    rig.speak("." * 20)
    assert rig.submitted(PredictTurnEnd) == 1


def test_a_phrase_that_may_end_there_makes_the_end_more_probable() -> None:
    silences = []
    for phrase_end in (0.2, 0.0001):
        rig = Rig()
        rig.speak(SPEECH + PAUSE)
        rig.transcribe(QUESTION)
        rig.message_end(QUESTION, 0.2, phrase_end)
        rig.speak("." * 60)
        silences.append(rig.turn_ends[0].silence_ms)
    assert silences[0] < 300 < 800 < silences[1]


@pytest.mark.parametrize("failed", [True, False])
def test_a_worker_that_does_not_know_delays_nothing(failed: bool) -> None:
    rig = Rig()
    paused(rig, windows=8)
    refusal = Failed(code="overloaded", message="x", retryable=True)
    rig.answer(rig.job(PredictTurnEnd), refusal if failed else Done(engine_ms=0))
    rig.transcribe(QUESTION)
    rig.speak("." * 13)
    assert STOPPED in rig.types()


def test_no_question_outlives_its_turn() -> None:
    rig = Rig()
    rig.speak(SPEECH + "." * 63)
    assert STOPPED in rig.types()
    assert not any(isinstance(job.command, PredictTurnEnd) for job in rig.jobs.values())


def test_server_vad_uses_its_own_silence_and_nothing_else() -> None:
    rig = Rig()
    turn_detection(rig, {"type": "server_vad", "silence_duration_ms": 640})
    rig.speak(SPEECH + PAUSE)
    assert rig.submitted(PredictTurnEnd) == 0
    rig.transcribe(QUESTION)
    rig.message_end(QUESTION, 1.0)
    rig.speak("." * 12)
    assert STOPPED not in rig.types()
    rig.speak(".")
    assert STOPPED in rig.types()


def test_the_question_can_be_switched_off() -> None:
    rig = Rig(config=Config(turn_taking=TurnTaking(predict_turn_end=False)))
    paused(rig, windows=10)
    assert rig.submitted(PredictTurnEnd) == 0


@pytest.mark.parametrize("own_pauses", [True, False])
def test_a_speaker_who_paused_long_before_is_waited_for_unless_that_is_switched_off(
    own_pauses: bool,
) -> None:
    silences_ms = []
    for pauses in (0, 3):
        rig = Rig(config=Config(turn_taking=TurnTaking(own_pauses=own_pauses)))
        for _ in range(pauses):
            rig.speak(SPEECH + "." * 44)
        rig.speak(SPEECH + PAUSE)
        rig.transcribe("Would you please turn?")
        rig.message_end("Would you please turn?", 0.001)
        rig.speak("." * 70)
        silences_ms.append(rig.turn_ends[0].silence_ms)
    at_first_ms, later_ms = silences_ms
    assert (later_ms > at_first_ms) is own_pauses


def test_the_end_is_noted_with_its_reason_and_silence() -> None:
    rig = Rig()
    rig.speak(SPEECH + PAUSE)
    rig.transcribe(QUESTION)
    rig.message_end(QUESTION, 0.6)
    rig.speak(".")
    [note] = rig.turn_ends
    assert note == NoteTurnEnd(turn_id=1, reason="words+model", silence_ms=224)


def test_speculation_begins_before_the_end_is_decided() -> None:
    rig = Rig()
    paused(rig)
    rig.transcribe(QUESTION)
    assert rig.submitted(Generate) == 1
    assert STOPPED not in rig.types()
