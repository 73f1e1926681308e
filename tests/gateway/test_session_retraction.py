"""Answers given too early: what the user says next belongs to the turn before."""

import pytest
from session_rig import (
    PAUSE,
    SPEECH,
    Rig,
    answer,
    call,
    history,
    messages_asked,
    spoken_turn,
    turn_detection,
    with_tools,
)

from antiphon_gateway.realtime.items import FunctionCallItem, MessageItem
from antiphon_proto.config import Config, TurnTaking
from antiphon_proto.conversation import ChatMessage, FunctionCall
from antiphon_proto.messages import FunctionCalled, Generate, Transcribe

STARTED = "input_audio_buffer.speech_started"
DELETED = "conversation.item.deleted"
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


@pytest.mark.parametrize(("heard_ms", "heard"), [(0, ""), (600, "Let me")])
def test_going_on_after_a_call_was_told_is_a_turn_of_its_own(heard_ms: int, heard: str) -> None:
    rig = Rig()
    with_tools(rig)
    spoken_turn(rig)
    call(rig, text="Let me see what the clock says, one moment.")
    called = rig.last("response.function_call_arguments.done")
    if heard_ms:
        rig.synthesize(4_000)
        rig.pass_time(heard_ms)
    kept = rig.session.history.conversation.items
    assert [type(item) for item in kept] == [MessageItem, MessageItem, FunctionCallItem]
    rig.types()
    rig.speak("x" * 9)
    rig.transcribe("in Oslo")
    rig.speak("x")
    assert rig.last(STARTED)["audio_start_ms"] > 0
    stopped = rig.last("response.done")["response"]
    assert stopped["status_details"]["reason"] == "turn_detected"
    assert [item["type"] for item in stopped["output"]] == ["message", "function_call"]
    assert DELETED not in rig.types()
    items = rig.session.history.conversation.items
    assert [item.id for item in items] == [item.id for item in kept]
    rig.speak("x" * 10 + PAUSE)
    rig.transcribe("in Oslo")
    rig.speak("." * 10)
    question, *answered, more = messages_asked(rig)
    assert question == ChatMessage("user", "What time is it?")
    assert more == ChatMessage("user", "in Oslo")
    calls = (FunctionCall(called["call_id"], called["name"], called["arguments"]),)
    assert [said.calls for said in answered if said.calls] == [calls]
    assert "".join(said.content for said in answered) == heard


def test_going_on_between_two_calls_is_a_turn_of_its_own() -> None:
    rig = Rig()
    with_tools(rig)
    spoken_turn(rig)
    called = FunctionCalled(name="get_time", arguments="{}", more_follow=True)
    rig.answer(rig.job(Generate), called)
    rig.types()
    rig.speak("x" * 15)
    stopped = rig.last("response.done")["response"]
    assert stopped["status_details"]["reason"] == "turn_detected"
    assert DELETED not in rig.types()
    items = rig.session.history.conversation.items
    assert [type(item) for item in items] == [MessageItem, FunctionCallItem]


def test_a_call_that_waits_for_the_verdict_on_speech_is_taken_back_untold() -> None:
    rig = Rig()
    with_tools(rig)
    spoken_turn(rig)
    rig.types()
    rig.speak("x" * 4)
    call(rig, text="Let me see.")
    rig.speak("x" * 11)
    types = rig.types()
    assert "response.function_call_arguments.done" not in types
    assert types.count(DELETED) == 1
    assert rig.session.history.conversation.items == ()


def test_a_call_that_was_prepared_for_a_turn_that_goes_on_leaves_no_trace() -> None:
    rig = Rig()
    with_tools(rig)
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("What time is it?")
    call(rig, text="Let me see.")
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("What time is it in Oslo?")
    rig.speak("." * 10)
    types = rig.types()
    assert types.count(STARTED) == types.count("response.created") == 1
    assert "response.function_call_arguments.done" not in types
    assert messages_asked(rig) == [ChatMessage("user", "What time is it in Oslo?")]
    call(rig)
    rig.last("response.function_call_arguments.done")
