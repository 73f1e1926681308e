"""Language models in other servers, over real sockets: what both engines do for a conversation."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

import jsonschema
import model_servers
import pytest
from model_servers import ModelServer
from model_servers import model_server as started_model_server

from antiphon_proto.config import load
from antiphon_proto.conversation import ChatMessage, Function, FunctionCall
from antiphon_proto.errors import JobFailed
from antiphon_proto.messages import FunctionCalled, Generate, ReadPrompt, TextDelta, TurnEnd
from antiphon_workers.engine import Engine, Step, Usage
from antiphon_workers.registry import create

from .engines import job, loaded, steps

pytestmark = pytest.mark.models

SYSTEM = ChatMessage("system", "You are a helpful assistant. Answer in one short sentence.")
CAPITAL = ChatMessage("user", "What is the capital of France?")
STORY = ChatMessage("user", "Tell me a very long story about a dragon.")
LAMP = Function(
    "set_lamp",
    "Switch the lamp on or off",
    {
        "type": "object",
        "properties": {"state": {"type": "string", "enum": ["on", "off"]}},
        "required": ["state"],
    },
)
TIME = Function("get_time", "Tell the time", {})
ENGINES = ("ollama", "openai")


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest) -> AsyncGenerator[Engine, None]:
    opened = await asyncio.to_thread(loaded, "llm", request.param, "llm.context_tokens=512")
    yield opened
    await opened.disconnect()


@pytest.fixture
async def tool_model() -> AsyncGenerator[Engine, None]:
    """Ollama with a model that it says has tools."""
    settings = ("llm.context_tokens=512", f"llm.model={model_servers.TOOLS}")
    opened = await asyncio.to_thread(loaded, "llm", "ollama", *settings)
    yield opened
    await opened.disconnect()


def generate(*messages: ChatMessage, tokens: int = 40) -> Generate:
    return Generate(messages=(SYSTEM, *messages), max_output_tokens=tokens, temperature=0.0)


def text_of(made: list[Step]) -> str:
    return "".join(
        step[0].text for step in made if isinstance(step, tuple) and isinstance(step[0], TextDelta)
    )


def calls_of(made: list[Step]) -> list[FunctionCalled]:
    return [
        step[0] for step in made if isinstance(step, tuple) and isinstance(step[0], FunctionCalled)
    ]


async def test_an_answer_streams_and_is_counted(engine: Engine) -> None:
    made = await steps(engine, generate(CAPITAL))
    deltas = [step for step in made if isinstance(step, tuple) and isinstance(step[0], TextDelta)]
    usage = made[-1]
    assert "Paris" in text_of(made)
    assert len(deltas) > 3
    assert isinstance(usage, Usage)
    assert usage.finish_reason == "stop"
    assert usage.input_tokens > 10
    assert len(deltas) <= usage.output_tokens <= 40


async def test_an_answer_is_cut_at_the_token_limit(engine: Engine) -> None:
    usage = (await steps(engine, generate(STORY, tokens=5)))[-1]
    assert isinstance(usage, Usage)
    assert usage == usage._replace(output_tokens=5, finish_reason="length")


async def test_an_answer_ends_before_a_stop_text(engine: Engine) -> None:
    command = generate(CAPITAL)
    stopped = Generate(
        messages=command.messages, max_output_tokens=40, temperature=0.0, stop=("Paris",)
    )
    said = text_of(await steps(engine, stopped))
    assert said
    assert "Paris" not in said


@pytest.mark.parametrize("begun", ["The capital of France", "The capital of France "])
async def test_a_begun_answer_is_continued(engine: Engine, begun: str) -> None:
    said = text_of(await steps(engine, generate(CAPITAL, ChatMessage("assistant", begun))))
    assert said.strip().startswith("is Paris")
    assert said.startswith(" ") is not begun.endswith(" ")


async def test_a_conversation_of_any_length_is_answered(engine: Engine) -> None:
    turns = [
        message
        for number in range(40)
        for message in (
            ChatMessage("user", f"Tell me something about the number {number}, please."),
            ChatMessage("assistant", f"The number {number} is followed by {number + 1}."),
        )
    ]
    made = await steps(engine, generate(*turns, CAPITAL, tokens=20))
    usage = made[-1]
    assert text_of(made)
    assert isinstance(usage, Usage)
    assert usage.input_tokens + usage.output_tokens <= 512


async def test_a_message_longer_than_the_context_is_refused(engine: Engine) -> None:
    with pytest.raises(JobFailed) as caught:
        await steps(engine, generate(ChatMessage("user", "word " * 2_000)))
    assert caught.value.code == "context_length_exceeded"
    assert not caught.value.retryable


async def test_a_prompt_is_read_ahead_and_nothing_is_told_of_its_end(engine: Engine) -> None:
    made = await steps(engine, ReadPrompt(messages=(SYSTEM, CAPITAL)))
    assert not [step for step in made if isinstance(step, tuple)]
    assert not [step for step in made if isinstance(step, TurnEnd)]


async def test_a_job_waits_for_the_one_before_of_its_session(engine: Engine) -> None:
    """So that it finds in the server's cache what that one has read."""
    ended: list[str] = []

    async def run(name: str, command: Generate) -> None:
        async with aclosing(engine.run(job(command, name), b"")) as running:
            async for _ in running:
                pass
        ended.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(run("first", generate(STORY, tokens=30)))
        await asyncio.sleep(0)
        group.create_task(run("second", generate(CAPITAL, tokens=1)))
    assert ended == ["first", "second"]


@pytest.mark.parametrize("functions", [(LAMP,), (TIME,), (LAMP, TIME)])
async def test_a_required_call_is_made_and_valid(
    engine: Engine, functions: tuple[Function, ...]
) -> None:
    command = Generate(
        messages=(SYSTEM, ChatMessage("user", "Set the lamp to off.")),
        max_output_tokens=60,
        temperature=0.0,
        functions=functions,
        must_call=True,
    )
    made = await steps(engine, command)
    [called] = calls_of(made)
    assert not text_of(made)
    schema = next(each.parameters for each in functions if each.name == called.name)
    jsonschema.validate(json.loads(called.arguments), schema)


async def test_the_words_decide_whether_a_model_without_tools_calls(engine: Engine) -> None:
    if engine.config.llm.engine != "ollama":
        pytest.skip("the server of `openai` does this itself")

    async def called(text: str) -> list[FunctionCalled]:
        command = Generate(
            messages=(SYSTEM, ChatMessage("user", text)),
            max_output_tokens=40,
            temperature=0.0,
            functions=(LAMP, TIME),
        )
        return calls_of(await steps(engine, command))

    assert await called("What is the capital of France?") == []
    [call] = await called("Set the lamp to off.")
    assert (call.name, json.loads(call.arguments)["state"] in ("on", "off")) == ("set_lamp", True)


async def test_calls_in_the_servers_own_form_are_taken(tool_model: Engine) -> None:
    """The model is small: what it calls is its own affair, that it is offered the tools is not."""
    command = Generate(
        messages=(SYSTEM, ChatMessage("user", "Set the lamp to off.")),
        max_output_tokens=60,
        temperature=0.0,
        functions=(LAMP,),
    )
    made = await steps(tool_model, command)
    for called in calls_of(made):
        assert called.name == "set_lamp"
        assert isinstance(json.loads(called.arguments), dict)
    assert calls_of(made) or text_of(made)


async def test_the_output_of_a_call_is_answered(engine: Engine) -> None:
    call = FunctionCall("call_9", "get_time", "{}")
    messages = (
        SYSTEM,
        ChatMessage("user", "What time is it?"),
        ChatMessage("assistant", "", calls=(call,)),
        ChatMessage("tool", "10:00", call_id="call_9"),
    )
    command = Generate(messages=messages, max_output_tokens=30, temperature=0.0, functions=(TIME,))
    made = await steps(engine, command)
    assert text_of(made) or calls_of(made)


async def killed_in(engine: Engine, server: ModelServer) -> None:
    """Run a job, and kill the server once it answers."""
    async with aclosing(engine.run(job(generate(STORY, tokens=400)), b"")) as running:
        async for step in running:
            if step is not None:
                server.process.kill()


@pytest.mark.parametrize("name", ENGINES)
async def test_a_server_that_dies_fails_the_job_and_may_be_tried_again(
    name: str,
) -> None:
    with contextlib.ExitStack() as opened:
        server = await asyncio.to_thread(opened.enter_context, started_model_server())
        settings = [f"llm.engine={name}", f"llm.url={getattr(server, name)}"]
        settings.append(f"llm.model={model_servers.CHAT if name == 'ollama' else ''}")
        engine = create("llm", load(environment={}, settings=settings))
        await asyncio.to_thread(engine.load)
        with pytest.raises(JobFailed) as caught:
            await killed_in(engine, server)
        assert (caught.value.code, caught.value.retryable) == ("llm_server_unreachable", True)
        with pytest.raises(JobFailed) as caught:
            await steps(engine, generate(CAPITAL))
        assert (caught.value.code, caught.value.retryable) == ("llm_server_unreachable", True)
        await engine.disconnect()
