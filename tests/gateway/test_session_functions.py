"""Functions of the client: how they are offered, called, answered, and interrupted."""

from typing import Any

import pytest
from session_rig import (
    OSLO,
    SPEECH,
    TIME,
    Rig,
    answer,
    call,
    history,
    messages_asked,
    spoken_turn,
    tell_output,
    text_item,
    with_tools,
)

from antiphon_proto.conversation import ChatMessage, FunctionCall, Truncation
from antiphon_proto.messages import (
    Failed,
    FunctionCalled,
    Generate,
)


def asked(rig: Rig) -> Generate:
    command = rig.job(Generate).command
    assert isinstance(command, Generate)
    return command


def test_the_model_gets_the_tools_of_the_session() -> None:
    rig = Rig()
    with_tools(rig)
    spoken_turn(rig)
    assert [function.name for function in asked(rig).functions] == ["get_time", "set_lamp"]
    assert asked(rig).functions[0].parameters == TIME["parameters"]
    assert not asked(rig).must_call


@pytest.mark.parametrize(
    ("choice", "names", "must"),
    [
        ("auto", ["get_time", "set_lamp"], False),
        ("required", ["get_time", "set_lamp"], True),
        ("none", [], False),
        ({"type": "function", "name": "set_lamp"}, ["set_lamp"], True),
    ],
)
def test_the_choice_decides_what_is_offered(choice: Any, names: list[str], must: bool) -> None:
    rig = Rig()
    with_tools(rig, tool_choice=choice)
    text_item(rig, "Hello")
    rig.send(type="response.create")
    assert [function.name for function in asked(rig).functions] == names
    assert asked(rig).must_call is must


def test_a_choice_of_a_function_that_is_not_there_is_refused() -> None:
    rig = Rig()
    rig.send(type="response.create", response={"tool_choice": {"type": "function", "name": "x"}})
    error = rig.last("error")["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "response.tool_choice")


def test_a_call_is_told_with_its_events_in_order() -> None:
    rig = Rig()
    with_tools(rig)
    spoken_turn(rig)
    user_id = rig.last("conversation.item.done")["item"]["id"]
    rig.events.clear()
    call(rig)
    made = list(rig.events)
    assert rig.types() == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    begun, added, delta, done, item_done, _, response_done = made
    item = item_done["item"]
    assert begun["item"] == {**item, "status": "in_progress", "arguments": ""}
    assert added["previous_item_id"] == user_id
    assert item["status"] == "completed"
    assert (item["name"], item["arguments"]) == ("get_time", OSLO)
    assert delta["delta"] == done["arguments"] == OSLO
    assert {event["call_id"] for event in (delta, done)} == {item["call_id"]}
    assert {event["item_id"] for event in (delta, done)} == {item["id"]}
    assert response_done["response"]["status"] == "completed"
    assert response_done["response"]["output"] == [item]
    assert response_done["response"]["usage"]["total_tokens"] == 7


def test_the_output_reaches_the_model_and_the_answer_is_spoken() -> None:
    rig = Rig()
    with_tools(rig)
    spoken_turn(rig)
    call(rig)
    call_id = rig.last("response.output_item.done")["item"]["call_id"]
    tell_output(rig, call_id)
    rig.send(type="response.create")
    assert messages_asked(rig) == [
        ChatMessage("user", "What time is it?"),
        ChatMessage("assistant", "", calls=(FunctionCall(call_id, "get_time", OSLO),)),
        ChatMessage("tool", "10:00", call_id=call_id),
    ]
    answer(rig, "It is ten.")
    rig.pass_time(1_000)
    assert rig.last("response.done")["response"]["status"] == "completed"
    assert history(rig)[-1] == ("assistant", "It is ten.")
    assert rig.audio_ms() > 0


def test_words_before_a_call_are_spoken_and_the_call_does_not_wait_for_them() -> None:
    rig = Rig()
    with_tools(rig)
    spoken_turn(rig)
    rig.events.clear()
    call(rig, text="Let me see.")
    items = [e["item"] for e in rig.events if e["type"] == "response.output_item.added"]
    assert [item["type"] for item in items] == ["message", "function_call"]
    assert "response.function_call_arguments.done" in [event["type"] for event in rig.events]
    assert "response.done" not in [event["type"] for event in rig.events]
    rig.synthesize(500)
    rig.pass_time(1_000)
    output = rig.last("response.done")["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call"]
    indexes = {e["output_index"] for e in rig.events if e["type"].startswith("response.output_a")}
    assert indexes == {0}


def test_several_calls_of_one_response_each_get_their_place() -> None:
    rig = Rig()
    with_tools(rig)
    spoken_turn(rig)
    rig.events.clear()
    call(
        rig,
        FunctionCalled(name="get_time", arguments=OSLO),
        FunctionCalled(name="set_lamp", arguments="{}"),
    )
    done = [e for e in rig.events if e["type"] == "response.function_call_arguments.done"]
    assert [(e["output_index"], e["name"]) for e in done] == [(0, "get_time"), (1, "set_lamp")]
    assert len({e["call_id"] for e in done}) == 2


@pytest.mark.parametrize("where", ["session", "response"])
def test_without_parallel_calls_there_is_one(where: str) -> None:
    rig = Rig()
    only_one = {"parallel_tool_calls": False}
    with_tools(rig, **(only_one if where == "session" else {}))
    text_item(rig, "Hello")
    rig.send(type="response.create", response=only_one if where == "response" else {})
    rig.events.clear()
    called = FunctionCalled(name="get_time", arguments=OSLO)
    call(rig, called, FunctionCalled(name="set_lamp", arguments="{}"))
    done = [e for e in rig.events if e["type"] == "response.function_call_arguments.done"]
    assert [e["name"] for e in done] == ["get_time"]
    [item] = rig.last("response.done")["response"]["output"]
    assert item["name"] == "get_time"


@pytest.mark.parametrize("parallel", [False, True])
def test_calls_that_were_lost_matter_where_they_would_be_told(parallel: bool) -> None:
    rig = Rig()
    with_tools(rig, parallel_tool_calls=parallel)
    text_item(rig, "Hello")
    rig.send(type="response.create")
    job = rig.job(Generate)
    rig.answer(job, FunctionCalled(name="get_time", arguments=OSLO, more_follow=True))
    rig.answer(job, Failed(code="calls_lost", message="the worker died", retryable=True))
    done = rig.last("response.done")["response"]
    assert done["status"] == ("failed" if parallel else "completed")
    assert [item["name"] for item in done["output"]] == ["get_time"]


def test_a_model_that_failed_before_the_one_call_it_may_make_fails_its_response() -> None:
    rig = Rig()
    with_tools(rig, parallel_tool_calls=False)
    text_item(rig, "Hello")
    rig.send(type="response.create")
    rig.answer(rig.job(Generate), Failed(code="poison_job", message="no", retryable=False))
    assert rig.last("response.done")["response"]["status"] == "failed"


def test_an_output_that_comes_after_another_answer_is_read_last() -> None:
    rig = Rig()
    with_tools(rig)
    spoken_turn(rig)
    call(rig)
    call_id = rig.last("response.output_item.done")["item"]["call_id"]
    spoken_turn(rig, "Are you there?")
    answer(rig, "Yes.")
    rig.pass_time(2_000)
    tell_output(rig, call_id)
    rig.send(type="response.create")
    assert [said.role for said in messages_asked(rig)] == [
        "user",
        "user",
        "assistant",
        "assistant",
        "tool",
    ]


def test_the_user_may_speak_while_a_function_runs() -> None:
    rig = Rig()
    with_tools(rig)
    spoken_turn(rig)
    call(rig)
    rig.speak(SPEECH)
    assert rig.types().count("input_audio_buffer.speech_started") == 2


def test_speech_ends_a_response_that_might_still_call() -> None:
    rig = Rig()
    with_tools(rig)
    spoken_turn(rig)
    assert "response.created" in rig.types()
    rig.send(type="response.cancel")
    response = rig.last("response.done")["response"]
    assert (response["status"], response["output"]) == ("cancelled", [])


def test_a_call_outside_the_conversation_leaves_no_item() -> None:
    rig = Rig()
    with_tools(rig)
    rig.send(type="response.create", response={"conversation": "none"})
    rig.events.clear()
    call(rig)
    assert "conversation.item.added" not in rig.types()
    assert rig.session.history.conversation.items == ()


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("auto", Truncation()),
        ("disabled", Truncation(enabled=False)),
        ({"type": "retention_ratio", "retention_ratio": 0.8}, Truncation(True, 0.8)),
        (
            {
                "type": "retention_ratio",
                "retention_ratio": 0.6,
                "token_limits": {"post_instructions": 900},
            },
            Truncation(True, 0.6, 900),
        ),
    ],
)
def test_the_model_is_told_how_to_cut_the_conversation(wanted: Any, meant: Truncation) -> None:
    rig = Rig()
    rig.send(type="session.update", session={"truncation": wanted})
    spoken_turn(rig)
    assert asked(rig).truncation == meant
