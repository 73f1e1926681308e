"""Ollama: what it is asked for, what is missing at the start, stopping, reading ahead."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import model_servers
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from antiphon_proto.config import load
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.errors import ConfigurationError, StartupError
from antiphon_proto.messages import FunctionCalled, Generate, ReadPrompt
from antiphon_workers.engine import Engine
from antiphon_workers.registry import create

from .engines import job, loaded, steps

pytestmark = pytest.mark.models

SYSTEM = ChatMessage("system", "You are a helpful assistant. Answer in one short sentence.")
STORY = ChatMessage("user", "Tell me a very long story about a dragon.")


@pytest.fixture
async def engine() -> AsyncGenerator[Engine, None]:
    settings = ("llm.context_tokens=640", "llm.keep_alive=7m")
    opened = await asyncio.to_thread(loaded, "llm", "ollama", *settings)
    yield opened
    await opened.disconnect()


def generate(*messages: ChatMessage, tokens: int = 40) -> Generate:
    return Generate(messages=(SYSTEM, *messages), max_output_tokens=tokens, temperature=0.0)


async def last_chat(count: int) -> dict[str, Any]:
    """Return the chat that ended as the server's number `count`."""
    server = await asyncio.to_thread(model_servers.shared)
    async with asyncio.timeout(10):
        while True:
            chats = await asyncio.to_thread(server.chats)
            if len(chats) >= count:
                return chats[count - 1]
            await asyncio.sleep(0.02)


async def begun(server: model_servers.ModelServer, count: int) -> None:
    """Wait until so many chats have begun; the server is another process."""
    while server.begun() < count:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def chats_so_far() -> int:
    server = await asyncio.to_thread(model_servers.shared)
    return len(await asyncio.to_thread(server.chats))


def startup_error(*settings: str) -> str:
    engine = create("llm", load(environment={}, settings=["llm.engine=ollama", *settings]))
    with pytest.raises(StartupError) as caught:
        engine.load()
    return str(caught.value)


async def test_the_context_the_limit_and_the_time_to_keep_the_model_are_asked_for(
    engine: Engine,
) -> None:
    before = await chats_so_far()
    await steps(engine, generate(STORY, tokens=3))
    asked = (await last_chat(before + 1))["request"]
    assert asked["model"] == model_servers.CHAT
    assert asked["keep_alive"] == "7m"
    assert asked["think"] is False
    assert asked["options"]["num_ctx"] == 640
    assert asked["options"]["num_predict"] == 3


async def test_a_cancelled_answer_is_stopped_at_the_server(engine: Engine) -> None:
    before = await chats_so_far()
    async with aclosing(engine.run(job(generate(STORY, tokens=500)), b"")) as running:
        async for step in running:
            if step is not None:
                break
    stopped = await last_chat(before + 1)
    assert stopped["end"] == "cancelled"
    assert stopped["chunks"] < 60


async def test_a_job_cancelled_while_its_prompt_is_read_is_stopped_at_the_server(
    engine: Engine,
) -> None:
    server = await asyncio.to_thread(model_servers.shared)
    before, ended = server.begun(), await chats_so_far()
    long = ChatMessage("user", "Once upon a time there was a dragon. " * 40)

    async def run() -> None:
        async with aclosing(engine.run(job(generate(long, tokens=50)), b"")) as running:
            async for _ in running:
                pass

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        async with asyncio.timeout(10):
            await begun(server, before + 1)
        task.cancel()
    stopped = await last_chat(ended + 1)
    assert (stopped["end"], stopped["chunks"]) == ("cancelled", 0)


async def test_an_answer_reads_only_what_was_not_read_ahead(engine: Engine) -> None:
    story = ChatMessage("assistant", "Once upon a time there was a dragon. " * 8)
    said = (SYSTEM, STORY, story, ChatMessage("user", "How long ago was"))
    await steps(engine, ReadPrompt(messages=said))
    before = await chats_so_far()
    asked = (STORY, story, ChatMessage("user", "How long ago was that?"))
    await steps(engine, generate(*asked, tokens=3))
    assert (await last_chat(before + 1))["tokens_read"] <= 20


def test_a_model_that_is_not_pulled_is_answered_with_the_command_that_pulls_it() -> None:
    url = f"llm.url={model_servers.shared().ollama}"
    message = startup_error(url, "llm.model=qwen9:4b")
    assert "run: ollama pull qwen9:4b" in message
    assert model_servers.CHAT in message


def test_a_model_that_does_not_chat_is_named() -> None:
    url = f"llm.url={model_servers.shared().ollama}"
    assert "no chat model" in startup_error(url, f"llm.model={model_servers.EMBEDDING}")


def test_a_server_that_is_not_there_is_answered_with_how_to_start_it() -> None:
    assert "ollama serve" in startup_error("llm.url=http://127.0.0.1:9", "llm.model=any")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("", "http://127.0.0.1:11434"),
        ("gpu-box", "http://gpu-box:11434"),
        ("0.0.0.0:11500", "http://127.0.0.1:11500"),
        (":11500", "http://127.0.0.1:11500"),
        ("https://gpu.example/ollama/", "https://gpu.example/ollama"),
    ],
)
def test_the_address_is_read_as_ollama_reads_it(
    said: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(environment={}, settings=[f"llm.url={said}"]).llm.ollama_url == meant
    monkeypatch.setenv("OLLAMA_HOST", said)
    assert load(environment={}).llm.ollama_url == meant


def test_a_time_that_is_none_is_refused() -> None:
    for good in ("-1", "0", "300", "30m", "1h30m"):
        load(environment={}, settings=[f"llm.keep_alive={good}"])
    with pytest.raises(ConfigurationError, match=r"llm\.keep_alive"):
        load(environment={}, settings=["llm.keep_alive=long"])


async def test_each_call_but_the_last_says_that_more_follow() -> None:
    async def chat(request: web.Request) -> web.Response:
        await request.read()
        calls = [{"function": {"name": name, "arguments": {}}} for name in ("one", "two")]
        message = {"role": "assistant", "content": "", "tool_calls": calls}
        return web.Response(text=json.dumps({"message": message, "done": True}))

    async def show(_: web.Request) -> web.Response:
        return web.json_response({"capabilities": ["completion"], "model_info": {}})

    app = web.Application()
    app.router.add_post("/api/chat", chat)
    app.router.add_post("/api/show", show)
    async with TestServer(app) as server:
        settings = ["llm.engine=ollama", f"llm.url={server.make_url('')}", "llm.model=any"]
        config = load(environment={}, settings=settings)
        # Its import reads files.
        engine = await asyncio.to_thread(create, "llm", config)
        await asyncio.to_thread(engine.load)
        made = await steps(engine, generate(STORY))
        await engine.disconnect()
    assert [one[0] for one in made[:-1] if isinstance(one, tuple)] == [
        FunctionCalled(name="one", arguments="{}", more_follow=True),
        FunctionCalled(name="two", arguments="{}"),
    ]
