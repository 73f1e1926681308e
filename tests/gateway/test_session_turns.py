"""Which turns are answered, once and with what, when events cross."""

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
    text_item,
    turn_detection,
)

from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    Generate,
    Transcribe,
)

LONG_AFTER = "." * 50
"""1.6 s: what is said then belongs to no earlier turn."""


def test_an_unknown_item_in_the_input_is_refused_before_the_response_begins() -> None:
    rig = Rig()
    rig.send(
        type="response.create",
        event_id="mine",
        response={"input": [{"type": "item_reference", "id": "nowhere"}]},
    )
    assert rig.last("error")["error"]["event_id"] == "mine"
    assert "response.created" not in rig.types()
    rig.send(type="response.create")
    assert "response.created" in rig.types()


def test_an_input_item_deleted_before_the_model_was_asked_fails_the_response() -> None:
    rig = Rig()
    turn_detection(rig, None)
    text_item(rig, "Hi", id="hi")
    rig.speak(SPEECH)
    rig.send(type="input_audio_buffer.commit")
    rig.send(type="response.create", response={"input": [{"type": "item_reference", "id": "hi"}]})
    rig.send(type="conversation.item.delete", item_id="hi")
    rig.transcribe("Hello.")
    done = rig.last("response.done")["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["code"] == "item_not_found"


def test_an_input_item_deleted_after_the_model_was_asked_changes_nothing() -> None:
    rig = Rig()
    text_item(rig, "Hi", id="hi")
    rig.send(type="response.create", response={"input": [{"type": "item_reference", "id": "hi"}]})
    rig.send(type="conversation.item.delete", item_id="hi")
    answer(rig, "Hello.")
    assert rig.last("response.done")["response"]["status"] == "completed"


def test_a_refused_response_does_not_lose_the_turn_that_is_due() -> None:
    rig = Rig()
    turn_detection(rig, {"type": "semantic_vad", "interrupt_response": False})
    spoken_turn(rig)
    rig.speak(SPEECH)
    rig.send(type="response.cancel")
    spoken = rig.events
    assert spoken[-1]["type"] == "response.done"
    rig.speak(PAUSE)
    rig.transcribe("And now?")
    model = rig.job(Generate)
    rig.send(type="response.create", response={"output_modalities": ["smell"]})
    assert rig.last("error")
    rig.speak("." * 10)
    assert rig.job(Generate) is model


def test_a_turn_answered_by_the_clients_response_is_not_answered_again() -> None:
    rig = Rig()
    rig.speak(SPEECH + END)
    rig.send(type="response.create")
    rig.transcribe("What time is it?")
    answer(rig, "It is noon.")
    rig.pass_time(2_000)
    assert rig.last("response.done")["response"]["status"] == "completed"
    assert rig.jobs == {}


def test_a_turn_is_answered_after_a_cough_that_came_before_its_transcript() -> None:
    rig = Rig()
    rig.speak(SPEECH + END)
    rig.speak("x" * 5)
    rig.transcribe("What time is it?")
    assert messages_asked(rig) == [ChatMessage("user", "What time is it?")]
    rig.speak(PAUSE)
    answer(rig, "It is noon.")
    rig.pass_time(1_000)
    assert rig.last("response.done")["response"]["status"] == "completed"


@pytest.mark.parametrize("end", ["clear", "commit off", "commit"])
def test_a_turn_is_answered_when_the_client_ends_the_utterance_it_waited_for(end: str) -> None:
    rig = Rig()
    rig.speak(SPEECH + END + "x" * 5)
    rig.transcribe("What time is it?")
    if end == "clear":
        rig.send(type="input_audio_buffer.clear")
    elif end == "commit":
        rig.send(type="input_audio_buffer.commit")
        rig.transcribe("")
    else:
        turn_detection(rig, None)
    assert messages_asked(rig) == [ChatMessage("user", "What time is it?")]


def test_two_turns_in_quick_succession_are_answered_once_with_both_in_order() -> None:
    rig = Rig()
    rig.speak(SPEECH + END + LONG_AFTER + SPEECH + END)
    first, second = [job for job in rig.jobs.values() if isinstance(job.command, Transcribe)]
    rig.jobs = {second.job_id: second, first.job_id: first}
    rig.transcribe("And in Rome?")
    assert not any(isinstance(job.command, Generate) for job in rig.jobs.values())
    rig.transcribe("What time is it?")
    assert messages_asked(rig) == [
        ChatMessage("user", "What time is it?"),
        ChatMessage("user", "And in Rome?"),
    ]
    answer(rig, "Noon in both.")
    rig.pass_time(2_000)
    assert rig.jobs == {}


def test_nothing_is_prepared_while_an_earlier_turn_has_no_transcript() -> None:
    rig = Rig()
    rig.speak(SPEECH + END + LONG_AFTER + SPEECH + PAUSE)
    first, second = (job for job in rig.jobs.values() if isinstance(job.command, Transcribe))
    rig.jobs = {second.job_id: second, first.job_id: first}
    rig.transcribe("And in Rome?")
    assert not any(isinstance(job.command, Generate) for job in rig.jobs.values())


def test_a_response_outside_the_conversation_leaves_the_due_turn_to_be_answered() -> None:
    rig = Rig()
    turn_detection(rig, {"type": "semantic_vad", "interrupt_response": False})
    rig.speak(SPEECH + END + "x" * 5)
    rig.transcribe("What time is it?")
    rig.send(
        type="response.create",
        response={"conversation": "none", "output_modalities": ["text"], "input": []},
    )
    rig.speak(END)
    rig.transcribe("")
    rig.generate("aside")
    assert messages_asked(rig) == [ChatMessage("user", "What time is it?")]


@pytest.mark.parametrize("change", ["format", "instructions", "item", "delete"])
def test_what_was_prepared_is_void_when_what_it_was_made_from_changes(change: str) -> None:
    rig = Rig()
    text_item(rig, "Hi", id="hi")
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("What time is it?")
    before = rig.job(Generate)
    if change == "format":
        rig.send(
            type="session.update",
            session={"audio": {"output": {"format": {"type": "audio/pcmu"}}}},
        )
    elif change == "instructions":
        rig.send(type="session.update", session={"instructions": "Be brief."})
    elif change == "item":
        text_item(rig, "I am in Oslo.")
    else:
        rig.send(type="conversation.item.delete", item_id="hi")
    assert before.job_id in rig.cancelled
    rig.speak("." * 10)
    answer(rig, "It is noon.")
    rig.pass_time(1_000)
    assert rig.last("response.done")["response"]["status"] == "completed"
    assert {audio.sample_rate_hz for audio in rig.audio} == {
        8_000 if change == "format" else 24_000
    }


def test_a_commit_in_the_pause_ends_what_was_prepared() -> None:
    rig = Rig()
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("What time is it?")
    prepared = rig.job(Generate)
    rig.send(type="input_audio_buffer.commit")
    assert prepared.job_id in rig.cancelled


def test_a_client_cannot_take_the_id_of_the_open_utterance() -> None:
    rig = Rig()
    rig.speak(SPEECH)
    item_id = rig.last("input_audio_buffer.speech_started")["item_id"]
    text_item(rig, "Mine.", id=item_id)
    assert rig.last("error")["error"]["code"] == "item_already_exists"
    rig.speak(END)
    assert rig.last("input_audio_buffer.committed")["item_id"] == item_id


def test_an_item_replaced_by_the_client_is_left_alone() -> None:
    rig = Rig()
    rig.speak(SPEECH + END)
    user_id = rig.last("input_audio_buffer.committed")["item_id"]
    rig.send(type="conversation.item.delete", item_id=user_id)
    output = {"type": "function_call_output", "call_id": "c", "output": "o", "id": user_id}
    rig.send(type="conversation.item.create", item=output)
    rig.transcribe("What time is it?")
    reply_id = rig.last("response.output_item.added")["item"]["id"]
    rig.send(type="conversation.item.delete", item_id=reply_id)
    answer(rig, "It is noon.", clause_ms=900)
    assert rig.last("response.done")
    text_item(rig, "Mine.", id=reply_id)
    rig.speak("x" * 10)
    assert history(rig) == [("tool", "o"), ("user", "Mine.")]
