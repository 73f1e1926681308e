"""What is said while the client's functions take long, and how it gives way."""

from typing import Any

import pytest
from session_rig import (
    OSLO,
    SPEECH,
    Rig,
    answer,
    call,
    history,
    messages_asked,
    spoken_turn,
    tell_output,
    turn_detection,
    with_tools,
)

from antiphon_gateway import session_snapshot
from antiphon_proto.config import Config, Tools, TurnTaking
from antiphon_proto.conversation import ChatMessage, FunctionCall
from antiphon_proto.messages import (
    AudioDelta,
    Done,
    FunctionCalled,
    Generate,
    SpokenWord,
    Synthesize,
)

FILLER = "One moment please."
AFTER_MS = 1_000


def slow_call(filler: str = FILLER, **fields: Any) -> Rig:
    """A spoken question whose function has just been called."""
    tools = Tools(filler=filler, filler_after_ms=AFTER_MS)
    rig = Rig(config=Config(turn_taking=TurnTaking(warming=False), tools=tools))
    with_tools(rig, **fields)
    spoken_turn(rig)
    call(rig)
    return rig


def call_id(rig: Rig) -> str:
    calls = [e["item"] for e in rig.events if e["type"] == "response.output_item.done"]
    return str(next(item["call_id"] for item in calls if item["type"] == "function_call"))


def speak_filler(rig: Rig, duration_ms: int = 2_000) -> None:
    """Let the filler come due and its speech be made."""
    rig.pass_time(AFTER_MS)
    rig.synthesize(duration_ms)


def statuses(rig: Rig) -> list[str]:
    return [e["response"]["status"] for e in rig.events if e["type"] == "response.done"]


def test_the_filler_is_a_spoken_response_when_the_output_does_not_come() -> None:
    rig = slow_call()
    rig.pass_time(AFTER_MS - 10)
    assert rig.submitted(Synthesize) == 0
    rig.types()
    speak_filler(rig)
    rig.pass_time(3_000)
    assert rig.audio_ms() == 2_000
    assert rig.submitted(Generate) == 1
    done = rig.last("response.done")["response"]
    assert (done["status"], done["metadata"]) == ("completed", {"antiphon": "filler"})
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": FILLER}]
    assert done["output"][0]["id"] == rig.last("conversation.item.done")["item"]["id"]
    kinds = rig.types()
    assert kinds[:5] == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
    ]


def test_it_is_spoken_once() -> None:
    rig = slow_call()
    speak_filler(rig)
    rig.pass_time(60_000)
    assert rig.submitted(Synthesize) == 1
    assert rig.session.next_due_ms(rig.now_ms) is None


def test_the_model_never_reads_it_and_the_client_may_have_it() -> None:
    rig = slow_call()
    called = call_id(rig)
    speak_filler(rig)
    rig.pass_time(3_000)
    filler_id = rig.last("response.done")["response"]["output"][0]["id"]
    tell_output(rig, called)
    rig.send(type="response.create")
    assert messages_asked(rig) == [
        ChatMessage("user", "What time is it?"),
        ChatMessage("assistant", "", calls=(FunctionCall(called, "get_time", OSLO),)),
        ChatMessage("tool", "10:00", call_id=called),
    ]
    rig.send(type="conversation.item.truncate", item_id=filler_id, content_index=0, audio_end_ms=0)
    rig.send(type="conversation.item.retrieve", item_id=filler_id)
    assert rig.last("conversation.item.retrieved")["item"]["content"][0]["transcript"] == ""
    assert "error" not in rig.types()


def test_without_a_text_or_with_an_early_output_there_is_silence() -> None:
    silent = slow_call(filler="")
    silent.pass_time(60_000)
    assert silent.submitted(Synthesize) == 0
    quick = slow_call()
    quick.pass_time(AFTER_MS - 10)
    tell_output(quick, call_id(quick))
    quick.pass_time(60_000)
    assert quick.submitted(Synthesize) == 0


def test_a_text_session_has_none() -> None:
    rig = slow_call(output_modalities=["text"])
    rig.pass_time(60_000)
    assert rig.submitted(Synthesize) == 0


def test_the_wait_begins_at_the_end_of_the_words_before_the_call() -> None:
    tools = Tools(filler=FILLER, filler_after_ms=AFTER_MS)
    rig = Rig(config=Config(turn_taking=TurnTaking(warming=False), tools=tools))
    with_tools(rig)
    spoken_turn(rig)
    call(rig, text="Let me see.")
    rig.synthesize(3_000)
    rig.pass_time(3_000 + AFTER_MS - 100)
    assert rig.submitted(Synthesize) == 1
    rig.pass_time(200)
    assert rig.submitted(Synthesize) == 2


@pytest.mark.parametrize("first", ["output", "create"])
def test_it_gives_way_when_the_client_goes_on(first: str) -> None:
    rig = slow_call()
    called = call_id(rig)
    speak_filler(rig)
    rig.pass_time(200)
    sent_ms = rig.audio_ms()
    assert 0 < sent_ms < 2_000
    rig.types()
    if first == "output":
        tell_output(rig, called)
        assert rig.types()[-1] == "response.done"
        rig.send(type="response.create")
        assert rig.types() == ["response.created"]
    else:
        rig.send(type="response.create")
        assert rig.types()[-2:] == ["response.done", "response.created"]
    rig.pass_time(2_000)
    assert rig.audio_ms() == sent_ms
    answer(rig, "It is ten.")
    rig.pass_time(2_000)
    assert rig.last("response.done")["response"]["status"] == "completed"
    assert history(rig)[-1] == ("assistant", "It is ten.")


def test_it_stops_at_the_end_of_a_word_and_keeps_the_words_handed_out() -> None:
    rig = slow_call()
    called = call_id(rig)
    rig.pass_time(AFTER_MS)
    job = rig.job(Synthesize)
    ends = ((3, 14_400), (10, 36_000), (18, 48_000))
    words = tuple(SpokenWord(end_character=at, end_sample=sample) for at, sample in ends)
    rig.answer(job, AudioDelta(sample_rate_hz=24_000, words=words), bytes(96_000))
    rig.answer(job, Done(engine_ms=1))
    assert rig.audio_ms() == pytest.approx(1_000, abs=50)
    tell_output(rig, called)
    assert rig.audio_ms() == 1_500
    done = rig.last("response.done")["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
    item = done["output"][0]
    assert (item["status"], item["content"][0]["transcript"]) == ("incomplete", "One moment")


def test_one_output_of_two_does_not_end_it() -> None:
    tools = Tools(filler=FILLER, filler_after_ms=AFTER_MS)
    rig = Rig(config=Config(turn_taking=TurnTaking(warming=False), tools=tools))
    with_tools(rig)
    spoken_turn(rig)
    called = FunctionCalled(name="get_time", arguments=OSLO)
    call(rig, called, called)
    ids = [e["call_id"] for e in rig.events if e["type"].endswith("arguments.done")]
    tell_output(rig, ids[0])
    speak_filler(rig)
    assert rig.audio_ms() > 0
    tell_output(rig, ids[1])
    assert statuses(rig) == ["completed", "cancelled"]


def test_a_refused_request_does_not_end_it() -> None:
    rig = slow_call()
    speak_filler(rig)
    rig.send(type="response.create", response={"tool_choice": "whatever"})
    assert rig.types()[-1] == "error"
    rig.pass_time(3_000)
    assert rig.audio_ms() == 2_000


def test_speech_over_it_stops_it_and_is_answered() -> None:
    rig = slow_call()
    speak_filler(rig)
    rig.pass_time(500)
    rig.types()
    rig.speak(SPEECH)
    done = rig.last("response.done")["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")
    heard = done["output"][0]["content"][0]["transcript"]
    assert heard
    assert FILLER.startswith(heard)
    assert heard != FILLER
    rig.speak("." * 10)
    rig.transcribe("Never mind.")
    rig.speak("." * 20)
    # The question before stays: the filler was no answer to it that came too early.
    assert [said.content for said in messages_asked(rig) if said.role == "user"] == [
        "What time is it?",
        "Never mind.",
    ]
    rig.pass_time(10_000)
    assert rig.submitted(Synthesize) == 1


def test_a_user_who_has_spoken_since_is_not_put_off() -> None:
    rig = slow_call()
    turn_detection(rig, {"type": "server_vad", "create_response": False})
    rig.speak(SPEECH + "." * 30)
    rig.transcribe("Are you there?")
    rig.pass_time(60_000)
    assert rig.submitted(Synthesize) == 0


def test_a_turn_that_may_not_interrupt_is_answered_at_once_all_the_same() -> None:
    rig = slow_call()
    turn_detection(rig, {"type": "server_vad", "interrupt_response": False})
    rig.pass_time(AFTER_MS)
    rig.synthesize(10_000)
    rig.types()
    rig.speak(SPEECH + "." * 20)
    rig.transcribe("Are you there?")
    rig.speak("." * 5)
    assert rig.submitted(Generate) == 2
    assert statuses(rig) == ["cancelled"]


def test_a_restarted_gateway_goes_on_with_it_and_still_keeps_it_from_the_model() -> None:
    rig = slow_call()
    called = call_id(rig)
    speak_filler(rig, 4_000)
    kept = session_snapshot.take(rig.session)
    fresh = Rig(config=rig.session.context.config)
    session_snapshot.restore(fresh.session, kept)
    session_snapshot.go_on(fresh.session, kept, ("", 0), fresh.now_ms)
    fresh.take()
    fresh.synthesize(4_000)
    tell_output(fresh, called)
    assert statuses(fresh) == ["cancelled"]
    fresh.send(type="response.create")
    assert [said.role for said in messages_asked(fresh)] == ["user", "assistant", "tool"]
