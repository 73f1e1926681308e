"""Functions in `/v1/chat/completions`, through the stock `openai` package."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from system import SIMULATED, System, running_system

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

REPLY = "It is ten o'clock."
OSLO = '{"city": "Oslo"}'
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
    "required": ["city"],
}
TIME: Any = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "Tell the time in a city",
        "parameters": PARAMETERS,
    },
}
QUESTION: Any = {"role": "user", "content": "What time is it in Oslo?"}


@pytest.fixture(scope="module")
def simulated() -> Iterator[OpenAI]:
    settings = {**SIMULATED, "simulated.reply": REPLY, "simulated.call_arguments": OSLO}
    with running_system(settings, ready_within_s=30.0) as server:
        with OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            yield client
        server.assert_no_traceback()


def test_a_call_and_the_answer_to_its_output(simulated: OpenAI) -> None:
    create = simulated.chat.completions.create
    called = create(model="any", messages=[QUESTION], tools=[TIME]).choices[0]
    assert (called.finish_reason, called.message.content) == ("tool_calls", None)
    assert called.message.tool_calls is not None
    [call] = called.message.tool_calls
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("get_time", OSLO)
    made: Any = called.message
    output: Any = {"role": "tool", "tool_call_id": call.id, "content": "10:00"}
    answer = create(model="any", messages=[QUESTION, made, output], tools=[TIME]).choices[0]
    assert (answer.finish_reason, answer.message.content) == ("stop", REPLY)
    assert answer.message.tool_calls is None


def test_a_streamed_call_adds_up(simulated: OpenAI) -> None:
    with simulated.chat.completions.stream(
        model="any", messages=[QUESTION], tools=[TIME]
    ) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion().choices[0]
    assert "tool_calls.function.arguments.done" in kinds
    assert final.finish_reason == "tool_calls"
    assert final.message.tool_calls is not None
    [call] = final.message.tool_calls
    assert call.id
    assert (call.function.name, call.function.arguments) == ("get_time", OSLO)


def test_nothing_is_called_when_nothing_may_be(simulated: OpenAI) -> None:
    answer = simulated.chat.completions.create(
        model="any", messages=[QUESTION], tools=[TIME], tool_choice="none"
    ).choices[0]
    assert (answer.finish_reason, answer.message.content) == ("stop", REPLY)


@pytest.mark.models
@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "get_time"}}]
)
def test_the_embedded_model_calls_what_it_must_by_the_schema(
    embedded_system: System, choice: Any
) -> None:
    with OpenAI(base_url=f"{embedded_system.url}/v1", api_key="any") as real:
        lamp: Any = {"type": "function", "function": {"name": "set_lamp"}}
        called = real.chat.completions.create(
            model="any", messages=[QUESTION], tools=[TIME, lamp], tool_choice=choice
        ).choices[0]
        assert called.finish_reason == "tool_calls"
        assert called.message.tool_calls is not None
        [call] = called.message.tool_calls
        assert call.type == "function"
        if call.function.name == "get_time":
            assert json.loads(call.function.arguments)["city"] in ("Oslo", "Rome")
        else:
            assert (call.function.name, choice) == ("set_lamp", "required")
        made: Any = called.message
        output: Any = {"role": "tool", "tool_call_id": call.id, "content": "10:00"}
        answer = real.chat.completions.create(
            model="any", messages=[QUESTION, made, output], tools=[TIME, lamp], max_tokens=16
        ).choices[0]
        assert answer.message.content
