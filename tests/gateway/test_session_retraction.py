"""Answers given too early: what the user says next belongs to the turn before."""

import pytest
from session_rig import (
    PAUSE,
    SPEECH,
    Rig,
    answer,
    history,
    messages_asked,
    spoken_turn,
    turn_detection,
)

from antiphon_proto.config import Config, TurnTaking
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import Generate, Transcribe

STARTED = "input_audio_buffer.speech_started"
LATE = "." * 50
"""1.6 s: long enough that what is said then is no part of the turn before."""


def test_going_on_before_the_answer_is_heard_makes_one_turn_of_both_parts() -> None:
    rig = Rig()
    spoken_turn(rig, "What time is it?")
    first = rig.last("input_audio_buffer.committed")["item_id"]
    revision = rig.job(Generate).revision
    answer(rig, "It is three minutes past twelve.", clause_ms=3_000)
    rig.pass_time(200)
    rig.types()
    rig.speak("x" * 9)
    rig.transcribe("in Oslo")
    rig.speak("x")
    started = rig.last(STARTED)
    assert started["audio_start_ms"] == 0
    types = [event["type"] for event in rig.events]
    assert types[0] == STARTED
    done, *deleted = types[types.index("response.done") :]
    assert done == "response.done"
    assert deleted == ["conversation.item.deleted"] * 2
    assert rig.last("conversation.item.deleted")["item_id"] == first
    assert history(rig) == []
    rig.speak("x" * 10 + PAUSE)
    both = rig.job(Transcribe)
    assert both.revision > revision
    assert len(both.payload) == 2 * 512 * (20 + 7 + 10 + 20 + 3)
    rig.transcribe("What time is it in Oslo?")
    rig.speak("." * 10)
    assert rig.last("input_audio_buffer.committed")["item_id"] == started["item_id"]
    assert messages_asked(rig) == [ChatMessage("user", "What time is it in Oslo?")]


def test_going_on_before_the_transcript_is_there_transcribes_both_parts_once() -> None:
    rig = Rig()
    turn_detection(rig, {"type": "server_vad", "silence_duration_ms": 320})
    rig.speak(SPEECH + "." * 12)
    first = rig.job(Transcribe)
    rig.speak("x" * 15)
    assert first.job_id in rig.cancelled
    rig.jobs = {key: job for key, job in rig.jobs.items() if job.command != Transcribe(final=False)}
    rig.speak("." * 12)
    rig.transcribe("What time is it in Oslo?")
    assert messages_asked(rig) == [ChatMessage("user", "What time is it in Oslo?")]
    completed = "conversation.item.input_audio_transcription.completed"
    assert rig.types().count(completed) == 1


def test_what_is_said_long_after_a_turn_that_is_not_answered_yet_is_another_turn() -> None:
    rig = Rig()
    spoken_turn(rig)
    rig.types()
    rig.speak(LATE + "x" * 15)
    types = rig.types()
    assert STARTED in types
    assert "conversation.item.deleted" not in types


@pytest.mark.parametrize("heard_ms", [300, 1_500])
def test_only_the_answer_to_the_turn_that_goes_on_is_taken_back(heard_ms: int) -> None:
    rig = Rig()
    spoken_turn(rig)
    answer(rig, "Yes.", clause_ms=heard_ms)
    rig.pass_time(heard_ms + 10_000)
    rig.speak(SPEECH + PAUSE + "." * 60)
    second = rig.last("conversation.item.added")["item"]["id"]
    rig.types()
    rig.speak("x" * 15)
    deleted = [e["item_id"] for e in rig.events if e["type"] == "conversation.item.deleted"]
    assert deleted == [second]
    assert ("assistant", "Yes.") in history(rig)


def test_retraction_can_be_turned_off() -> None:
    rig = Rig(config=Config(turn_taking=TurnTaking(retraction_ms=0)))
    spoken_turn(rig)
    rig.types()
    rig.speak("x" * 15)
    types = rig.types()
    assert "response.done" in types
    assert "conversation.item.deleted" not in types


def test_a_response_that_the_client_asked_for_is_not_taken_back() -> None:
    rig = Rig()
    spoken_turn(rig)
    rig.send(type="response.cancel")
    rig.send(type="response.create")
    rig.types()
    rig.speak("x" * 15)
    assert "conversation.item.deleted" not in rig.types()


def test_a_cut_of_an_answer_that_was_taken_back_is_no_error() -> None:
    rig = Rig()
    spoken_turn(rig)
    answer(rig, "It is three minutes past twelve.", clause_ms=3_000)
    reply = rig.last("response.output_item.added")["item"]["id"]
    rig.speak("x" * 15)
    assert rig.last("response.done")["response"]["status"] == "cancelled"
    rig.types()
    rig.send(type="conversation.item.truncate", item_id=reply, content_index=0, audio_end_ms=100)
    assert rig.types() == []


def test_a_turn_too_long_to_grow_is_not_reopened() -> None:
    rig = Rig(config=Config(turn_taking=TurnTaking(max_utterance_ms=1_000)))
    spoken_turn(rig)
    rig.types()
    rig.speak("x" * 15)
    assert "conversation.item.deleted" not in rig.types()
