"""Any server with OpenAI's chat completions: vLLM, llama.cpp's server, and others."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from antiphon_proto.config import Config
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.errors import JobFailed, StartupError
from antiphon_proto.messages import Generate, Job, ReadPrompt, TextDelta
from antiphon_workers.engine import Engine, Step, no_steps
from antiphon_workers.llm import schema_caller
from antiphon_workers.llm.context import fit, tokens_per_byte_seen
from antiphon_workers.llm.functions import fold
from antiphon_workers.llm.openai_form import as_json, tool_json
from antiphon_workers.llm.remote import (
    CONNECT_S,
    Continuation,
    begun_answer,
    is_here,
    once,
    with_ticks,
)
from antiphon_workers.llm.replies import Reply
from antiphon_workers.llm.session_order import SessionOrder
from antiphon_workers.threads import Emit

_LINE_BYTES = 1 << 20
"""Longest line of a server's answer."""
_MOST_STOPS = 4
"""OpenAI's own limit."""
_OK, _NO_KEY, _NO_RIGHT, _TOO_MANY, _BROKEN = 200, 401, 403, 429, 500
_SERVER = "the language model's server"
_VLLM, _LLAMACPP = "vllm", "llamacpp"
"""How these servers sign their models."""


class OpenAiCompatible(Engine):
    """One model of the server at `llm.url`. Cancelling a job closes its connection, which stops it.

    Prompts are read ahead on servers known to keep them: vLLM and llama.cpp's. None shows the
    probabilities of a user's message, so nothing is told of how it ends.
    """

    stage = "llm"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._url = config.llm.openai_url
        self._model = config.llm.model
        self._kind = ""
        self._headers: dict[str, str] = {}
        self._http: aiohttp.ClientSession | None = None
        self._order = SessionOrder()

    @property
    def model(self) -> str:
        """The one asked for, or the server's first."""
        return self._model

    def load(self) -> None:
        """Find the model and have the server read the default instructions.

        Raises StartupError when nothing answers, the key is refused, or there is no such model.
        """
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise StartupError(
                f"llm.url is {self._url!r}; set it to an address such as http://127.0.0.1:8000/v1"
            )
        self._headers = self._authorization()
        # A loop of its own: the connections of the worker's loop are made on that one.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(self._find_model())

    async def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield the response as it is generated; of a prompt read ahead only that it goes on."""
        command = job.command
        if isinstance(command, Generate):
            steps = self._complete(command)
        elif isinstance(command, ReadPrompt):
            steps = self._read(command) if self._kind else no_steps()
        else:
            raise TypeError(f"{type(command).__name__} is no command of a language model")
        async with self._order.turn(job.session_id), aclosing(steps):
            try:
                async for step in steps:
                    yield step
            except (OSError, aiohttp.ClientError, TimeoutError) as exc:
                raise JobFailed(
                    "llm_server_unreachable",
                    f"the server at {self._url} broke off or does not answer "
                    f"({type(exc).__name__})",
                    retryable=True,
                ) from exc

    async def disconnect(self) -> None:
        """Close the connections that are kept for the next job."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _complete(self, command: Generate) -> AsyncGenerator[Step, None]:
        limit = self._prompt_limit(command.max_output_tokens)
        messages = fit(command.messages, limit, truncation=command.truncation)
        pending: list[Step] = []
        while True:
            reply = Reply(_taker(pending), server=_SERVER)
            async with aclosing(self._attempt(command, messages, reply, pending)) as steps:
                async for step in steps:
                    yield step
            shorter = self._shorter(command, messages, reply)
            if shorter is None:
                break
            messages = shorter
        reply.check()
        if command.must_call and not reply.calls_functions:
            async with aclosing(self._call_by_schema(command)) as steps:
                async for step in steps:
                    yield step
            return
        reply.count(messages)
        reply.end()
        for step in pending:
            yield step

    async def _call_by_schema(self, command: Generate) -> AsyncGenerator[Step, None]:
        """Yield the call that a server did not make although it was required."""
        folded = msgspec.structs.replace(command, messages=tuple(fold(command.messages)))
        calling = with_ticks(once(schema_caller.call(folded, self._write)))
        async with aclosing(calling):
            async for call in calling:
                for step in call.steps if call else (None,):
                    yield step

    async def _write(
        self, messages: list[ChatMessage], schema: dict[str, Any], max_tokens: int
    ) -> schema_caller.Written:
        request = self._request(messages, "", max_tokens)
        request["temperature"] = 0.0
        request["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema},
        }
        texts: list[Step] = []
        reply = Reply(_taker(texts), server=_SERVER)
        async with aclosing(self._chunks(request)) as chunks:
            async for chunk in chunks:
                reply.take(chunk)
        reply.check()
        reply.count(messages)
        return schema_caller.Written(
            _text(texts),
            reply.usage.input_tokens,
            reply.usage.output_tokens,
            reply.usage.finish_reason == "length",
        )

    def _shorter(
        self, command: Generate, messages: list[ChatMessage], reply: Reply
    ) -> list[ChatMessage] | None:
        """Return what is left of a conversation that proved too long; None: it goes no shorter."""
        if not reply.overlong_tokens or not command.truncation.enabled:
            return None
        ratio = tokens_per_byte_seen(messages, reply.overlong_tokens)
        limit = self._prompt_limit(command.max_output_tokens)
        shorter = fit(command.messages, limit, ratio, command.truncation)
        return shorter if len(shorter) < len(messages) else None

    async def _attempt(
        self, command: Generate, messages: list[ChatMessage], reply: Reply, pending: list[Step]
    ) -> AsyncGenerator[Step, None]:
        """Yield the text of one request; what else it says is in `reply`."""
        begun = begun_answer(messages)
        request = self._request(messages, begun, command.max_output_tokens)
        request["temperature"] = command.temperature
        if command.stop:
            request["stop"] = list(command.stop[:_MOST_STOPS])
        if command.functions and not begun:
            request["tools"] = [tool_json(function) for function in command.functions]
            if command.must_call:
                request["tool_choice"] = "required"
        new = Continuation(begun)
        async with aclosing(with_ticks(self._chunks(request))) as chunks:
            async for chunk in chunks:
                if chunk is None or reply.take(chunk):
                    yield None
                    continue
                text = new.feed(_text(pending))
                pending.clear()
                yield (TextDelta(text=text), b"") if text and not command.must_call else None
        if (held := new.finish()) and not command.must_call:
            yield TextDelta(text=held), b""

    async def _read(self, command: ReadPrompt) -> AsyncGenerator[Step, None]:
        """Have the conversation read into the server's cache; its answer ends after one token."""
        limit = self._prompt_limit(self.config.llm.max_output_tokens)
        messages = fit(command.messages, limit, truncation=command.truncation)
        request = self._request(messages, "", 1)
        if command.functions:
            request["tools"] = [tool_json(function) for function in command.functions]
        async with aclosing(with_ticks(self._chunks(request))) as chunks:
            async for _ in chunks:
                yield None

    def _request(self, messages: list[ChatMessage], begun: str, max_tokens: int) -> dict[str, Any]:
        if begun:
            # A prompt that ends in a space makes the tokens that follow improbable ones.
            messages = [*messages[:-1], ChatMessage("assistant", begun.rstrip())]
        request: dict[str, Any] = {
            "model": self._model,
            "messages": [as_json(message) for message in messages],
            "max_tokens": max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._kind:
            request["chat_template_kwargs"] = {"enable_thinking": False}
        if self._kind == _LLAMACPP:
            request["repeat_penalty"] = self.config.llm.repeat_penalty
            request["return_progress"] = True
        if self._kind == _VLLM:
            request["repetition_penalty"] = self.config.llm.repeat_penalty
            if begun:
                request |= {"continue_final_message": True, "add_generation_prompt": False}
        return request

    def _prompt_limit(self, answer_tokens: int) -> int:
        context_tokens = self.config.llm.context_tokens
        return max(context_tokens - answer_tokens, context_tokens // 2)

    async def _chunks(self, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the objects of the server's event stream, or the one that says what is wrong."""
        if self._http is None:
            self._http = self._session()
        async with self._http.post(f"{self._url}/chat/completions", json=request) as response:
            if response.status != _OK:
                yield {"error": _error(response.status, await response.content.read(_LINE_BYTES))}
                return
            async for line in response.content:
                event = line.strip()
                if not event.startswith(b"data:"):
                    continue
                event = event.removeprefix(b"data:").strip()
                if event == b"[DONE]":
                    return
                yield _object(event)

    async def _find_model(self) -> None:
        try:
            async with self._session() as http, http.get(f"{self._url}/models") as response:
                if response.status in (_NO_KEY, _NO_RIGHT):
                    raise StartupError(
                        f"the server at {self._url} refuses the key; put it into a file and "
                        "set llm.api_key_file to that, or set $OPENAI_API_KEY"
                    )
                if response.status != _OK:
                    raise StartupError(
                        f"{self._url}/models answers with status {response.status}; set llm.url "
                        "to the base address of an OpenAI-compatible server, which ends in /v1"
                    )
                offered = _models(await response.content.read(_LINE_BYTES))
        except (OSError, aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise StartupError(
                f"no OpenAI-compatible server answers at {self._url} ({type(exc).__name__}); "
                "start it, or set llm.url to where it is"
            ) from exc
        self._model = self._model or next(iter(offered), "")
        if self._model not in offered:
            raise StartupError(
                f"the server at {self._url} has no model {self._model!r}; set llm.model to one "
                f"of: {', '.join(offered) or 'none'}"
            )
        owner = offered[self._model]
        self._kind = owner if owner in (_VLLM, _LLAMACPP) else ""
        greeting = (ChatMessage("system", self.config.llm.instructions), ChatMessage("user", "Hi"))
        try:
            warm = Generate(messages=greeting, max_output_tokens=1, temperature=0.0)
            async for _ in self._complete(warm):
                pass
        except (OSError, aiohttp.ClientError, TimeoutError, JobFailed) as exc:
            raise StartupError(
                f"the model {self._model} at {self._url} does not answer ({exc}); "
                "look into that server's log, or set llm.model to another"
            ) from exc
        finally:
            await self.disconnect()

    def _session(self) -> aiohttp.ClientSession:
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
        # llama.cpp's server closes a connection that waits, just when the next job would use it.
        connector = aiohttp.TCPConnector(force_close=not self._url.startswith("https://"))
        return aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            timeout=limits,
            trust_env=not is_here(self._url),
            read_bufsize=_LINE_BYTES,
        )

    def _authorization(self) -> dict[str, str]:
        settings = self.config.llm
        key = ""
        if settings.api_key_file:
            path = Path(settings.api_key_file).expanduser()
            try:
                key = path.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as exc:
                raise StartupError(
                    f"llm.api_key_file {path} cannot be read ({type(exc).__name__}); "
                    "set it to a file that holds the server's key"
                ) from exc
            if not re.fullmatch(r"[\x21-\x7e]+", key):
                raise StartupError(
                    f"llm.api_key_file {path} holds no key; set it to a file that holds the "
                    "server's key and nothing else"
                )
        else:
            key = settings.openai_key
        return {"Authorization": f"Bearer {key}"} if key else {}


def _taker(pending: list[Step]) -> Emit:
    def take(step: Step) -> bool:
        pending.append(step)
        return True

    return take


def _text(steps: list[Step]) -> str:
    return "".join(
        step[0].text for step in steps if isinstance(step, tuple) and isinstance(step[0], TextDelta)
    )


def _object(text: bytes) -> dict[str, Any]:
    made = json.loads(text)
    return made if isinstance(made, dict) else {}


def _error(status: int, body: bytes) -> dict[str, Any]:
    """Return what is told of a refusal: never the server's words, which may quote the prompt."""
    try:
        told = _object(body)
    except ValueError:
        told = {}
    inner = told.get("error")
    error = inner if isinstance(inner, dict) else told
    return {
        "type": error.get("type") or "llm_server_error",
        "code": status,
        "n_prompt_tokens": error.get("n_prompt_tokens", 0),
        "retryable": status == _TOO_MANY or status >= _BROKEN,
    }


def _models(body: bytes) -> dict[str, str]:
    """Return the server's models, each with who it says owns it."""
    listed = _object(body).get("data")
    return {
        str(each["id"]): str(each.get("owned_by", ""))
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict) and "id" in each
    }
