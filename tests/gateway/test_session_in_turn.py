"""When a session is in a turn: what a gateway that stops waits for."""

from session_rig import PAUSE, SPEECH, Rig, answer, spoken_turn, text_item


def in_turn(rig: Rig) -> bool:
    return rig.session.in_turn(rig.now_ms)


def test_a_turn_lasts_from_the_first_word_until_the_answer_has_been_heard() -> None:
    rig = Rig()
    rig.speak(".....")
    assert not in_turn(rig)
    rig.speak(SPEECH)
    assert in_turn(rig)
    rig.speak(PAUSE)
    assert in_turn(rig)
    spoken_turn(rig)
    assert in_turn(rig)
    answer(rig, "It is noon.", clause_ms=900)
    rig.pass_time(500)
    assert rig.last("response.done")["response"]["status"] == "completed"
    assert in_turn(rig)
    rig.pass_time(500)
    assert not in_turn(rig)


def test_a_written_turn_lasts_until_its_answer_is_written() -> None:
    rig = Rig()
    text_item(rig, "What time is it?")
    assert not in_turn(rig)
    rig.send(type="response.create", response={"output_modalities": ["text"]})
    assert in_turn(rig)
    rig.generate("It is noon.")
    assert not in_turn(rig)
