"""A session that another gateway takes over asks for nothing twice and for nothing too early."""

import pytest
from session_rig import OSLO, Rig, call, messages_asked, text_item, turn_detection, with_tools

from antiphon_gateway import session_snapshot
from antiphon_proto.messages import Done, FunctionCalled, Generate, TextDelta, Transcribe


def in_another_gateway(rig: Rig) -> Rig:
    fresh = Rig(config=rig.session.context.config)
    kept = session_snapshot.take(rig.session)
    session_snapshot.restore(fresh.session, kept)
    session_snapshot.go_on(fresh.session, kept, ("", 0), fresh.now_ms)
    fresh.take()
    return fresh


def test_a_response_that_was_asked_for_still_waits_for_the_words_of_its_turn() -> None:
    rig = Rig()
    turn_detection(rig, None)
    rig.speak("x" * 20)
    rig.send(type="input_audio_buffer.commit")
    rig.send(type="response.create")
    rig = in_another_gateway(rig)
    assert (rig.submitted(Transcribe), rig.submitted(Generate)) == (1, 0)
    rig.transcribe("What time is it?")
    assert [said.content for said in messages_asked(rig)] == ["What time is it?"]


def test_a_reply_that_is_written_and_still_spoken_is_never_written_again() -> None:
    rig = Rig()
    text_item(rig, "Hello.")
    rig.send(type="response.create")
    rig.generate("This is one sentence. ", "This is another one.")
    rig.synthesize(2_000)
    for _ in range(2):
        rig = in_another_gateway(rig)
        assert rig.submitted(Generate) == 0


def test_an_input_item_deleted_while_the_answer_is_written_fails_that_answer_alone() -> None:
    rig = Rig()
    text_item(rig, "Hi", id="hi")
    rig.send(
        type="response.create",
        response={
            "input": [{"type": "item_reference", "id": "hi"}],
            "output_modalities": ["text"],
        },
    )
    rig.answer(rig.job(Generate), TextDelta(text="This is one sentence. "))
    rig.send(type="conversation.item.delete", item_id="hi")
    rig = in_another_gateway(rig)
    done = rig.last("response.done")["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["code"] == "item_not_found"
    assert done["output"][0]["content"][0]["text"] == "This is one sentence. "
    text_item(rig, "Hello.")
    rig.send(type="response.create")
    assert [said.content for said in messages_asked(rig)][-1] == "Hello."


FIRST = FunctionCalled(name="get_time", arguments=OSLO, more_follow=True)
LAST = FunctionCalled(name="set_lamp", arguments="{}")


def asked_with_tools(**settings: object) -> Rig:
    rig = Rig()
    with_tools(rig, **settings)
    text_item(rig, "Hello.")
    rig.send(type="response.create")
    return rig


def names_called(rig: Rig) -> list[str]:
    return [item["name"] for item in rig.last("response.done")["response"]["output"]]


def test_a_response_of_whose_calls_not_all_were_told_fails_as_when_its_worker_dies() -> None:
    rig = asked_with_tools()
    rig.answer(rig.job(Generate), FIRST)
    rig = in_another_gateway(rig)
    done = rig.last("response.done")["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["code"] == "calls_lost"
    assert names_called(rig) == ["get_time"]
    assert rig.submitted(Generate) == 0


@pytest.mark.parametrize("away", [False, True])
def test_a_response_that_may_call_once_and_has_is_complete_in_another_gateway(away: bool) -> None:
    rig = asked_with_tools(parallel_tool_calls=False)
    rig.session.context.away = away
    rig.answer(rig.job(Generate), FIRST)
    rig = in_another_gateway(rig)
    assert rig.last("response.done")["response"]["status"] == "completed"
    assert names_called(rig) == ["get_time"]
    assert rig.submitted(Generate) == 0


def test_a_response_whose_last_call_was_told_is_complete_in_another_gateway() -> None:
    rig = asked_with_tools()
    for called in (FIRST, LAST):
        rig.answer(rig.job(Generate), called)
    rig = in_another_gateway(rig)
    assert rig.last("response.done")["response"]["status"] == "completed"
    assert names_called(rig) == ["get_time", "set_lamp"]
    assert rig.submitted(Generate) == 0


@pytest.mark.parametrize("finished", [True, False])
def test_calls_that_were_made_while_the_client_was_away_are_told_by_another_gateway(
    finished: bool,
) -> None:
    rig = asked_with_tools()
    rig.session.context.away = True
    job = rig.job(Generate)
    for called in (FIRST, LAST):
        rig.answer(job, called)
    if finished:
        rig.answer(job, Done(engine_ms=1))
    assert "response.function_call_arguments.done" not in rig.types()
    rig = in_another_gateway(rig)
    assert rig.last("response.done")["response"]["status"] == "completed"
    assert names_called(rig) == ["get_time", "set_lamp"]
    assert rig.submitted(Generate) == 0


def test_a_model_of_whose_calls_none_was_told_is_asked_again() -> None:
    rig = asked_with_tools()
    rig.session.context.away = True
    rig.answer(rig.job(Generate), FIRST)
    rig = in_another_gateway(rig)
    call(rig, LAST)
    assert names_called(rig) == ["set_lamp"]
