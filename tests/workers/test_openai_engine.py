"""OpenAI-compatible servers: keys, what is missing at the start, stopping, our own server."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import model_servers
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from system import SIMULATED, running_system

from antiphon_proto.config import load
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import Generate, ReadPrompt, TextDelta
from antiphon_workers.engine import Engine, Usage
from antiphon_workers.registry import create

from .engines import job, loaded, steps

pytestmark = pytest.mark.models

SYSTEM = ChatMessage("system", "You are a helpful assistant. Answer in one short sentence.")
STORY = ChatMessage("user", "Tell me a very long story about a dragon.")
KEY = "sk-of-the-test-alone"


@pytest.fixture
async def engine() -> AsyncGenerator[Engine, None]:
    opened = await asyncio.to_thread(loaded, "llm", "openai", "llm.context_tokens=640")
    yield opened
    await opened.disconnect()


def generate(*messages: ChatMessage, tokens: int = 40) -> Generate:
    return Generate(messages=(SYSTEM, *messages), max_output_tokens=tokens, temperature=0.0)


def opened(*settings: str) -> Engine:
    return create("llm", load(environment={}, settings=["llm.engine=openai", *settings]))


def startup_error(*settings: str) -> str:
    with pytest.raises(StartupError) as caught:
        opened(*settings).load()
    return str(caught.value)


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def test_a_cancelled_answer_is_stopped_at_the_server(engine: Engine) -> None:
    async with aclosing(engine.run(job(generate(STORY, tokens=500)), b"")) as running:
        async for step in running:
            if step is not None:
                break
    pid = (await asyncio.to_thread(model_servers.shared)).process.pid
    before = await asyncio.to_thread(cpu_ticks, pid)
    await asyncio.sleep(1.0)
    # Generation would keep a core busy for all of this second, which has 100 ticks.
    assert await asyncio.to_thread(cpu_ticks, pid) - before < 50


async def test_a_model_is_found_when_none_is_named(engine: Engine) -> None:
    assert engine.config.llm.model == ""
    assert [step for step in await steps(engine, generate(STORY, tokens=3)) if step is not None]


def test_a_model_that_the_server_lacks_is_answered_with_those_it_has() -> None:
    url = f"llm.url={model_servers.shared().openai}"
    assert "one of: smollm2" in startup_error(url, "llm.model=other")


def test_a_server_that_is_not_there_is_named() -> None:
    assert "http://127.0.0.1:9/v1" in startup_error("llm.url=http://127.0.0.1:9/v1")
    assert "llm.url is 'localhost'" in startup_error("llm.url=localhost")


def test_an_address_that_is_none_of_such_a_server_is_named() -> None:
    url = model_servers.shared().ollama
    assert "/models answers with status 404" in startup_error(f"llm.url={url}")


def test_a_key_comes_from_a_file_or_the_environment_and_is_never_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    wrong = tmp_path / "wrong"
    wrong.write_text("sk-another")
    caplog.set_level(logging.DEBUG)
    with model_servers.model_server(KEY) as server:
        settings = (f"llm.url={server.openai}", "llm.model=")
        refused = startup_error(*settings, f"llm.api_key_file={wrong}")
        assert "refuses the key" in refused
        opened(*settings, f"llm.api_key_file={file}").load()
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        opened(*settings).load()
    assert KEY not in caplog.text + refused


def test_a_key_of_the_environment_goes_to_no_other_machine_in_the_clear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    sent = {
        url: opened(f"llm.url={url}")._authorization()  # type: ignore[attr-defined]
        for url in ("http://10.0.0.7/v1", "https://10.0.0.7/v1", "http://localhost:8000/v1")
    }
    assert [bool(headers) for headers in sent.values()] == [False, True, True]


def test_a_file_without_a_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "absent"
    assert str(file) in startup_error(f"llm.api_key_file={file}")
    assert "holds no key" in startup_error(f"llm.api_key_file={__file__}")


@pytest.mark.integration
async def test_our_own_chat_completions_serve_it_too() -> None:
    with contextlib.ExitStack() as stack:
        server = await asyncio.to_thread(stack.enter_context, running_system(SIMULATED))
        url = f"llm.url={server.url}/v1"
        engine = await asyncio.to_thread(opened, url, "llm.model=smollm2-135m")
        await asyncio.to_thread(engine.load)
        made = await steps(engine, generate(STORY))
        said = [step[0] for step in made if type(step) is tuple]
        text = "".join(body.text for body in said if isinstance(body, TextDelta))
        assert text == "This is a simulated reply. It has two sentences."
        # Whether an unknown server keeps what it read is not known, and it may cost money.
        assert await steps(engine, ReadPrompt(messages=(SYSTEM, STORY))) == []
        await engine.disconnect()


async def complete_uncounted(request: web.Request) -> web.Response:
    """Answer as a server does that has never heard of `stream_options`."""
    chunks = [{"choices": [{"delta": {"content": text}}]} for text in ("Once", " upon", " a time")]
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return web.Response(
        text="".join([*lines, "data: [DONE]\n\n"]), content_type="text/event-stream"
    )


async def list_one_model(request: web.Request) -> web.Response:
    return web.json_response({"data": [{"id": "a-model"}]})


async def test_tokens_are_estimated_where_the_server_does_not_count_them() -> None:
    app = web.Application()
    app.router.add_get("/v1/models", list_one_model)
    app.router.add_post("/v1/chat/completions", complete_uncounted)
    async with TestServer(app, host="127.0.0.1") as server:
        engine = opened(f"llm.url={server.make_url('/v1')}", "llm.model=a-model")
        await asyncio.to_thread(engine.load)
        *_, usage = await steps(engine, generate(STORY))
        await engine.disconnect()
    # 99 bytes in two messages; 16 bytes.
    assert usage == Usage(input_tokens=38, output_tokens=4)
