"""Calling functions with a model that was made for none: prompts, grammars, real calls."""

import json
from typing import Any

import jsonschema
import pytest

from antiphon_proto.conversation import ChatMessage, Function, FunctionCall
from antiphon_proto.errors import JobFailed
from antiphon_proto.messages import (
    FunctionCalled,
    Generate,
    TextDelta,
)
from antiphon_workers.engine import Engine, Step, Usage
from antiphon_workers.llm.functions import bounded, fold, needs_arguments
from antiphon_workers.llm.replies import Reply

from .engines import loaded, steps

SYSTEM = ChatMessage("system", "You are a helpful assistant. Answer in one short sentence.")
TIME = Function(
    "get_time",
    "Tell the time in a city",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
LAMP = Function(
    "set_lamp",
    "Switch the lamp on or off",
    {
        "type": "object",
        "properties": {
            "state": {"enum": ["on", "off"]},
            "brightness": {"type": "integer", "minimum": 0, "maximum": 100},
        },
        "required": ["state"],
    },
)
FREE = Function("note", "Write something down", {"type": "object"})
NOTHING = Function("stop_music", "Stop the music", {})
OSLO = (
    ChatMessage("user", "What time is it in Oslo?"),
    ChatMessage("assistant", "", calls=(FunctionCall("call_1", "get_time", '{"city": "Oslo"}'),)),
    ChatMessage("tool", "10:00", call_id="call_1"),
)


@pytest.fixture
def engine() -> Engine:
    return loaded("llm", "llamacpp", "llm.context_tokens=512", "llm.slots=2")


async def made(engine: Engine, text: str, *functions: Function, must: bool = False) -> list[Step]:
    command = Generate(
        messages=(SYSTEM, ChatMessage("user", text)),
        max_output_tokens=40,
        temperature=0.0,
        functions=functions,
        must_call=must,
    )
    return [step for step in await steps(engine, command) if step is not None]


def call_of(made: list[Step]) -> tuple[str, Any]:
    """Return the name and the arguments of the one call that was made."""
    step, usage = made
    assert isinstance(step, tuple)
    assert isinstance(step[0], FunctionCalled)
    assert isinstance(usage, Usage)
    assert usage.finish_reason == "stop"
    assert usage.input_tokens >= 0
    return step[0].name, json.loads(step[0].arguments)


def test_outputs_are_put_before_the_words_that_asked_for_them() -> None:
    assert fold([SYSTEM, *OSLO]) == [
        SYSTEM,
        ChatMessage("user", 'get_time({"city": "Oslo"}): 10:00\n\nWhat time is it in Oslo?'),
    ]


def test_an_output_behind_an_answer_is_what_the_model_answers() -> None:
    meanwhile = [ChatMessage("user", "Who are you?"), ChatMessage("assistant", "A friend.")]
    question, *call_and_output = OSLO
    assert fold([question, *meanwhile, *call_and_output]) == [
        question,
        *meanwhile,
        ChatMessage("user", 'get_time({"city": "Oslo"}): 10:00'),
    ]


def test_a_call_without_an_output_is_left_out() -> None:
    assert fold([SYSTEM, *OSLO[:2], ChatMessage("user", "Hello?")]) == [
        SYSTEM,
        OSLO[0],
        ChatMessage("user", "Hello?"),
    ]


def test_strings_and_lists_of_a_schema_get_an_end_and_nothing_that_fits_is_new() -> None:
    schema = {
        "type": "object",
        "properties": {
            "words": {"type": "array", "items": {"type": "string"}},
            "type": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "id": {"type": "string", "maxLength": 9},
        },
    }
    assert bounded(schema) == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "words": {
                "type": "array",
                "maxItems": 16,
                "items": {"type": "string", "maxLength": 100},
            },
            "type": {"anyOf": [{"type": "string", "maxLength": 100}, {"type": "null"}]},
            "id": {"type": "string", "maxLength": 9},
        },
    }


def test_only_a_function_with_parameters_needs_arguments() -> None:
    assert [needs_arguments(one) for one in (TIME, FREE, NOTHING)] == [True, False, False]
    assert not needs_arguments(Function("f", "", {"type": "object", "properties": {}}))


def test_calls_in_the_models_own_form_are_put_together() -> None:
    taken: list[Step] = []
    reply = Reply(lambda step: taken.append(step) is None)
    for index, name, arguments in ((0, "get_time", ""), (0, None, '{"city":'), (0, None, '"Oslo"}'),
                                   (1, "stop_music", "")):  # fmt: skip
        function = {"name": name, "arguments": arguments}
        delta = {"tool_calls": [{"index": index, "function": function}]}
        reply.take({"choices": [{"finish_reason": None, "delta": delta}]})
    reply.take({"choices": [{"finish_reason": "tool_calls", "delta": {}}]})
    reply.end()
    assert [step[0] for step in taken[:-1] if isinstance(step, tuple)] == [
        FunctionCalled(name="get_time", arguments='{"city":"Oslo"}', more_follow=True),
        FunctionCalled(name="stop_music", arguments="{}"),
    ]


@pytest.mark.models
@pytest.mark.parametrize("text", ["What time is it in Oslo?", "Tell me a story.", "", '{}}"]'])
@pytest.mark.parametrize("functions", [(TIME,), (LAMP,), (TIME, LAMP), (FREE,), (NOTHING, LAMP)])
async def test_a_required_call_is_always_made_and_valid(
    engine: Engine, text: str, functions: tuple[Function, ...]
) -> None:
    name, arguments = call_of(await made(engine, text, *functions, must=True))
    schema = next(function.parameters for function in functions if function.name == name)
    jsonschema.validate(arguments, schema)


@pytest.mark.models
async def test_the_words_decide_whether_and_what_is_called(engine: Engine) -> None:
    assert call_of(await made(engine, "Set the lamp to off.", TIME, LAMP))[0] == "set_lamp"
    assert call_of(await made(engine, "Get the time in Oslo.", TIME, LAMP)) == (
        "get_time",
        {"city": "Oslo"},
    )
    said = await made(engine, "What is the capital of France?", TIME, LAMP)
    assert all(isinstance(step[0], TextDelta) for step in said[:-1] if isinstance(step, tuple))
    assert "Paris" in "".join(step[0].text for step in said[:-1])  # type: ignore[index, union-attr]


@pytest.mark.models
async def test_an_output_is_answered_with_words(engine: Engine) -> None:
    command = Generate(
        messages=(SYSTEM, *OSLO), max_output_tokens=40, temperature=0.0, functions=(TIME,)
    )
    said = [step[0] for step in await steps(engine, command) if type(step) is tuple]
    assert all(isinstance(step, TextDelta) for step in said)
    assert "10:00" in "".join(step.text for step in said if isinstance(step, TextDelta))


@pytest.mark.models
async def test_a_schema_that_cannot_be_followed_is_named(engine: Engine) -> None:
    odd = Function(
        "odd",
        "Do it",
        {"type": "object", "properties": {"a": {"type": "bogus"}}, "required": ["a"]},
    )
    with pytest.raises(JobFailed, match="function odd") as caught:
        await made(engine, "Do it.", odd, must=True)
    assert caught.value.code == "invalid_function_parameters"
    assert not caught.value.retryable
