"""Speech over a response: what stops it and what does not."""

import pytest
from session_rig import (
    END,
    PAUSE,
    SPEECH,
    Rig,
    answer,
    history,
    messages_asked,
    spoken_turn,
    turn_detection,
)
from session_spoken_over import STARTED, ducks, pauses, speaking

from antiphon_proto.config import Config, TurnTaking
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import Failed, Generate, Transcribe

DUCK_MS = 32
"""Speech after which the response is ducked."""
LATE = "." * 50
"""1.6 s: long enough that what is said then is no part of the turn before."""


def test_a_response_is_ducked_at_once_and_stopped_by_a_word() -> None:
    rig = speaking()
    rig.speak("x" * (DUCK_MS // 32))
    [(item_id, ducked)] = ducks(rig)
    assert ducked
    rig.speak("x" * 7)
    assert rig.job(Transcribe).command == Transcribe(final=False)
    assert STARTED not in [event["type"] for event in rig.events]
    rig.transcribe("What about")
    rig.speak("x")
    types = [event["type"] for event in rig.events if event["type"] != "antiphon.duck"]
    assert types[0] == STARTED
    done = rig.last("response.done")["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert done["output"][0]["id"] == item_id
    assert len(ducks(rig)) == 1


def test_the_words_of_an_interruption_are_one_turn_from_its_first_sound() -> None:
    rig = speaking()
    rig.speak("x" * 9)
    rig.transcribe("What about")
    rig.speak("x" * 11 + PAUSE)
    rig.transcribe("What about Rome?")
    rig.speak("." * 10)
    heard = rig.last("conversation.item.input_audio_transcription.completed")
    assert heard["transcript"] == "What about Rome?"
    assert messages_asked(rig)[-1] == ChatMessage("user", "What about Rome?")


@pytest.mark.parametrize("words", ["Uh-huh.", "Yeah, okay.", "Mm-hmm", "I see.", "", "[laughs]"])
def test_a_backchannel_lets_the_response_go_on_and_is_no_turn(words: str) -> None:
    rig = speaking()
    rig.speak("x" * 10)
    rig.transcribe(words)
    rig.speak("." * 10)
    assert [ducked for _, ducked in ducks(rig)] == [True, False]
    rig.speak(END)
    rig.pass_time(5_000)
    assert rig.last("response.done")["response"]["status"] == "completed"
    assert {e["type"] for e in rig.events if e["type"].startswith(("input", "conversation"))} == {
        "conversation.item.done"
    }
    assert rig.audio_ms() == 4_000
    assert rig.jobs == {}


def test_a_backchannel_is_no_part_of_the_turn_that_follows() -> None:
    rig = speaking()
    rig.speak("x" * 10)
    rig.transcribe("Uh-huh.")
    rig.speak("." * 5 + "x" * 22 + PAUSE)
    rig.jobs = {key: job for key, job in rig.jobs.items() if job.command == Transcribe(final=True)}
    assert len(rig.job(Transcribe).payload) <= 2 * 512 * (5 + 22 + 4)


def test_words_after_a_backchannel_in_one_breath_stop_the_response() -> None:
    rig = speaking()
    rig.speak("x" * 9)
    rig.transcribe("Yeah,")
    rig.speak("x" * 9)
    rig.transcribe("Yeah, but why?")
    rig.speak("x")
    assert STARTED in rig.types()


def test_speech_pauses_the_response_until_it_is_judged_and_nothing_of_it_is_lost() -> None:
    rig = speaking()
    rig.speak("x" * (DUCK_MS // 32))
    assert pauses(rig) == [False]
    rig.speak("x" * 3)
    assert pauses(rig) == [False, True]
    rig.speak("x" * 6)
    rig.transcribe("Uh-huh.")
    assert rig.audio_ms() < 4_000
    rig.speak("." * 10)
    assert pauses(rig) == [False, True, False]
    rig.pass_time(6_000)
    assert rig.last("response.done")["response"]["status"] == "completed"
    assert rig.audio_ms() == 4_000


@pytest.mark.parametrize(("pause_after_ms", "same"), [(160, True), (0, False)])
def test_what_was_heard_of_a_paused_response_ends_at_the_pause(
    pause_after_ms: int, same: bool
) -> None:
    def heard_when_judged_after(windows: int) -> str:
        rig = Rig(
            extensions=True,
            config=Config(turn_taking=TurnTaking(pause_after_ms=pause_after_ms)),
        )
        spoken_turn(rig)
        answer(rig, " ".join(f"w{n}" for n in range(40)) + ".", clause_ms=4_000)
        rig.pass_time(1_500)
        rig.speak("x" * (8 + windows))
        rig.transcribe("What about")
        rig.speak("x")
        done = rig.last("response.done")["response"]
        assert done["status"] == "cancelled"
        text: str = done["output"][0]["content"][0]["transcript"]
        return text

    assert heard_when_judged_after(1)
    assert (heard_when_judged_after(1) == heard_when_judged_after(8)) is same


def test_a_response_that_goes_on_after_a_gap_while_somebody_speaks_is_paused() -> None:
    rig = Rig(extensions=True)
    spoken_turn(rig)
    rig.generate("One two three four five six.", " Seven eight nine ten.")
    rig.synthesize(1_500)
    rig.pass_time(2_000)
    rig.speak("x" * 5)
    assert ducks(rig) == []
    rig.synthesize(1_500)
    rig.speak("xx")
    assert pauses(rig) == [True]


def test_a_pause_can_be_turned_off() -> None:
    rig = speaking(config=Config(turn_taking=TurnTaking(pause_after_ms=0)))
    rig.speak("x" * 12)
    assert pauses(rig) == [False]


def test_a_short_noise_undoes_the_duck_and_asks_for_no_words() -> None:
    rig = speaking()
    asked = rig.submitted(Transcribe)
    rig.speak("x" * 6 + "." * 6)
    assert [ducked for _, ducked in ducks(rig)] == [True, False]
    assert rig.submitted(Transcribe) == asked
    assert STARTED not in rig.types()


@pytest.mark.parametrize("failed", [False, True], ids=["no answer", "failed"])
@pytest.mark.parametrize(("extensions", "patience_ms"), [(False, 450), (True, 700)])
def test_words_that_do_not_come_leave_the_decision_to_the_length(
    extensions: bool, patience_ms: int, failed: bool
) -> None:
    rig = speaking(extensions=extensions)
    rig.speak("x" * 10)
    if failed:
        code = Failed(code="deadline_exceeded", message="", retryable=True)
        rig.answer(rig.job(Transcribe), code)
    windows = patience_ms // 32
    rig.speak("x" * (windows - 10))
    assert STARTED not in rig.types()
    rig.speak("x")
    assert STARTED in rig.types()


def test_words_that_may_be_invented_do_not_stop_the_response() -> None:
    rig = speaking()
    rig.speak("x" * 10)
    rig.transcribe("We are going", no_speech_probability=0.62, average_log_probability=-0.98)
    rig.speak("x" * 4)
    assert STARTED not in rig.types()
    rig.transcribe("We are going to")
    rig.speak("x")
    assert STARTED in rig.types()


def test_a_short_command_stops_the_response_when_its_word_arrives() -> None:
    rig = speaking()
    rig.speak("x" * 9 + "." * 8)
    assert STARTED not in rig.types()
    rig.transcribe("Stop.")
    rig.speak(".")
    types = rig.types()
    assert STARTED in types
    assert "response.done" in types
    rig.speak(END)
    assert "input_audio_buffer.committed" in rig.types()


def test_a_short_sound_whose_words_never_come_does_not_stop_the_response() -> None:
    rig = speaking()
    rig.speak("x" * 9 + "." * 30)
    assert [ducked for _, ducked in ducks(rig)] == [True, False]
    assert STARTED not in rig.types()
    assert not [job for job in rig.jobs.values() if isinstance(job.command, Transcribe)]


def test_a_backchannel_answers_a_question_that_was_heard() -> None:
    rig = Rig(extensions=True)
    spoken_turn(rig)
    answer(rig, "Would you like some sugar?", clause_ms=1_500)
    rig.pass_time(1_200)
    rig.types()
    rig.speak("x" * 9)
    rig.transcribe("Yeah.")
    rig.speak("x")
    assert STARTED in rig.types()


def test_only_clients_with_the_extensions_are_told_of_a_duck() -> None:
    rig = Rig()
    spoken_turn(rig)
    answer(rig, "One two three four five six.", clause_ms=3_000)
    rig.types()
    rig.speak("x" * 9)
    assert rig.types() == []


def test_ducking_and_the_judgement_of_words_can_be_turned_off() -> None:
    rig = speaking(config=Config(turn_taking=TurnTaking(duck=False, interruption_words=False)))
    rig.speak("x" * 7)
    assert rig.types() == []
    rig.speak("x")
    types = rig.types()
    assert STARTED in types
    assert "antiphon.duck" not in types


@pytest.mark.parametrize("end", ["clear", "commit", "off"])
def test_whoever_ends_the_listening_undoes_the_duck(end: str) -> None:
    rig = speaking()
    rig.speak("x" * 5)
    if end == "off":
        turn_detection(rig, None)
    else:
        rig.send(type=f"input_audio_buffer.{end}")
    assert [ducked for _, ducked in ducks(rig)] == [True, False]


# --- not audible yet -----------------------------------------------------------------------


def test_a_cough_does_not_void_what_is_prepared_in_the_pause() -> None:
    rig = Rig()
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("What time is it?")
    model = rig.job(Generate)
    rig.speak("x" * 4 + "." * 10)
    assert model.job_id in rig.jobs
    assert "response.created" in rig.types()


def test_a_cough_does_not_cancel_a_response_that_is_not_audible_yet() -> None:
    rig = Rig()
    spoken_turn(rig)
    rig.types()
    rig.speak("x" * 4)
    answer(rig, "It is noon.")
    assert rig.audio == []
    rig.speak("." * 6)
    rig.pass_time(1_000)
    assert rig.audio_ms() == 500
    assert rig.types()[-1] == "response.done"


def test_a_response_that_may_no_longer_be_interrupted_stops_waiting_for_the_verdict() -> None:
    rig = Rig()
    spoken_turn(rig)
    rig.speak("x" * 4)
    answer(rig, "It is noon.")
    detection = {"type": "semantic_vad", "interrupt_response": False}
    rig.send(type="session.update", session={"audio": {"input": {"turn_detection": detection}}})
    assert rig.audio == []
    rig.speak("x" * 6)
    rig.transcribe("What about")
    rig.speak("x")
    rig.pass_time(1_000)
    assert rig.audio_ms() == 500


def test_a_response_made_while_somebody_may_be_speaking_waits_for_the_verdict() -> None:
    rig = Rig()
    rig.speak(SPEECH + END + "x" * 4)
    rig.transcribe("What time is it?")
    answer(rig, "It is noon.")
    assert "response.created" in rig.types()
    assert rig.audio == []
    rig.speak("." * 6)
    assert rig.audio_ms() == 500


def test_an_answer_that_was_heard_for_longer_is_interrupted_not_taken_back() -> None:
    rig = speaking(heard_ms=1_000, extensions=False)
    rig.speak("x" * 15)
    assert "conversation.item.deleted" not in rig.types()
    assert history(rig) == [("user", "What time is it?"), ("assistant", "One two three four")]
