"""Models of an Ollama server, through its own streaming API."""

import json
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import httpx
import msgspec
import ollama

from antiphon_proto.config import Config
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.errors import JobFailed, StartupError
from antiphon_proto.messages import FunctionCalled, Generate, Job, ReadPrompt, TextDelta
from antiphon_workers.engine import Engine, Step, Usage
from antiphon_workers.llm import schema_caller
from antiphon_workers.llm.context import counted, fit
from antiphon_workers.llm.functions import fold, may_call
from antiphon_workers.llm.openai_form import tool_json
from antiphon_workers.llm.remote import (
    CONNECT_S,
    Continuation,
    begun_answer,
    is_here,
    once,
    with_ticks,
)
from antiphon_workers.llm.session_order import SessionOrder

_NOT_FOUND = 404
_TOO_MANY, _BROKEN = 429, 500
"""Statuses that may be gone at the next try: the first, and all from the second on."""


class Ollama(Engine):
    """One model of the server at `llm.url`. Cancelling a job closes its connection, which stops it.

    The server keeps the conversation it read last, so a prompt that begins alike is read on from
    there. It shows no probabilities of a user's message, so nothing is told of how it ends.
    """

    stage = "llm"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._url = config.llm.ollama_url
        self._client: ollama.AsyncClient | None = None
        self._order = SessionOrder()
        self._knows_functions = False

    def load(self) -> None:
        """Have the server load the model and read the default instructions.

        Raises StartupError when nothing answers, or the model is not pulled or no chat model.
        """
        # httpx logs each request.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        settings = self.config.llm
        greeting = [ChatMessage("system", settings.instructions), ChatMessage("user", "Hi")]
        with ollama.Client(
            self._url, timeout=httpx.Timeout(None, connect=CONNECT_S), trust_env=self._trust_env
        ) as client:
            try:
                shown = client.show(settings.model)
                capabilities = shown.capabilities or ["completion"]
                self._knows_functions = "tools" in capabilities
                if "completion" not in capabilities:
                    raise StartupError(
                        f"model {settings.model} of Ollama is no chat model (it does: "
                        f"{', '.join(capabilities)}); set llm.model to one"
                    )
                for _ in client.chat(stream=True, **self._request(greeting, 1, 0.0)):
                    pass
            except ollama.ResponseError as exc:
                raise self._refused(client, exc) from exc
            except (ConnectionError, httpx.TransportError) as exc:
                raise StartupError(
                    f"Ollama does not answer at {self._url}; start it with: ollama serve, "
                    "or set llm.url to where it is"
                ) from exc

    async def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield the response as it is generated; of a prompt read ahead only that it goes on."""
        command = job.command
        if isinstance(command, Generate):
            steps = self._complete(command)
        elif isinstance(command, ReadPrompt):
            steps = self._read(command)
        else:
            raise TypeError(f"{type(command).__name__} is no command of a language model")
        async with self._order.turn(job.session_id), aclosing(steps):
            try:
                async for step in steps:
                    yield step
            except ollama.ResponseError as exc:
                # The text of the error may quote the prompt.
                raise JobFailed(
                    "llm_server_error",
                    f"Ollama refused the job with status {exc.status_code}",
                    retryable=exc.status_code == _TOO_MANY or exc.status_code >= _BROKEN,
                ) from None
            except (ConnectionError, httpx.TransportError) as exc:
                raise JobFailed(
                    "llm_server_unreachable",
                    f"Ollama at {self._url} broke off or does not answer ({type(exc).__name__})",
                    retryable=True,
                ) from exc

    async def disconnect(self) -> None:
        """Close the connections that are kept for the next job."""
        if self._client is not None:
            await self._client.close()  # type: ignore[no-untyped-call]
            self._client = None

    async def _complete(self, command: Generate) -> AsyncGenerator[Step, None]:
        """Yield the call that Ollama cannot be asked to require, or what the model says."""
        chooses = may_call(command.messages) and not self._knows_functions
        if not self._knows_functions:
            command = msgspec.structs.replace(command, messages=tuple(fold(command.messages)))
        if command.functions and (command.must_call or chooses):
            calling = with_ticks(once(schema_caller.call(command, self._write)))
            async with aclosing(calling):
                async for call in calling:
                    for step in call.steps if call else (None,):
                        yield step
                    if call is not None and call.steps:
                        return
        async with aclosing(self._generate(command)) as steps:
            async for step in steps:
                yield step

    async def _generate(self, command: Generate) -> AsyncGenerator[Step, None]:
        used = Usage()
        messages = self._fitting(command, command.max_output_tokens)
        begun = begun_answer(messages)
        if begun:
            messages[-1] = ChatMessage("assistant", begun.rstrip())
        request = self._request(messages, command.max_output_tokens, command.temperature)
        request["options"]["stop"] = list(command.stop)
        if command.functions and self._knows_functions and not begun:
            request["tools"] = [tool_json(function) for function in command.functions]
        new = Continuation(begun)
        calls: list[FunctionCalled] = []
        async with aclosing(with_ticks(self._chunks(request))) as chunks:
            async for chunk in chunks:
                if chunk is None:
                    yield None
                    continue
                for call_made in chunk.message.tool_calls or ():
                    function = call_made.function
                    arguments = json.dumps(dict(function.arguments), ensure_ascii=False)
                    calls.append(FunctionCalled(name=function.name, arguments=arguments))
                text = new.feed(chunk.message.content or "")
                yield (TextDelta(text=text), b"") if text else None
                if chunk.done:
                    used = _usage(used, chunk)
        if held := new.finish():
            yield TextDelta(text=held), b""
        for number, called in enumerate(calls, start=1):
            yield msgspec.structs.replace(called, more_follow=number < len(calls)), b""
        # A prompt that was read before is left out of what some versions count.
        yield counted(used, messages, "")

    async def _read(self, command: ReadPrompt) -> AsyncGenerator[Step, None]:
        """Have the conversation read into the server's cache; its answer ends after one token."""
        messages = self._fitting(command, self.config.llm.max_output_tokens)
        request = self._request(messages, 1, 0.0)
        if command.functions and self._knows_functions:
            request["tools"] = [tool_json(function) for function in command.functions]
        async with aclosing(with_ticks(self._chunks(request))) as chunks:
            async for _ in chunks:
                yield None

    async def _write(
        self, messages: list[ChatMessage], schema: dict[str, Any], max_tokens: int
    ) -> schema_caller.Written:
        request = self._request(messages, max_tokens, 0.0)
        request["format"] = schema
        texts: list[str] = []
        usage = Usage()
        async with aclosing(self._chunks(request)) as chunks:
            async for chunk in chunks:
                texts.append(chunk.message.content or "")
                if chunk.done:
                    usage = counted(_usage(usage, chunk), messages, "")
        return schema_caller.Written(
            "".join(texts), usage.input_tokens, usage.output_tokens, usage.finish_reason == "length"
        )

    async def _chunks(self, request: dict[str, Any]) -> AsyncGenerator["ollama.ChatResponse", None]:
        if self._client is None:
            self._client = ollama.AsyncClient(
                self._url,
                timeout=httpx.Timeout(None, connect=CONNECT_S),
                trust_env=self._trust_env,
            )
        answer: Any = await self._client.chat(stream=True, **request)
        # Left open, the connection would keep the server generating.
        async with aclosing(answer):
            async for chunk in answer:
                yield chunk

    def _fitting(self, command: Generate | ReadPrompt, answer_tokens: int) -> list[ChatMessage]:
        context_tokens = self.config.llm.context_tokens
        limit = max(context_tokens - answer_tokens, context_tokens // 2)
        messages = command.messages if self._knows_functions else fold(command.messages)
        return fit(messages, limit, truncation=command.truncation)

    def _request(
        self, messages: Sequence[ChatMessage], max_tokens: int, temperature: float
    ) -> dict[str, Any]:
        settings = self.config.llm
        return {
            "model": settings.model,
            "messages": _as_json(messages),
            "think": False,
            "keep_alive": _keep_alive(settings.keep_alive),
            "options": {
                "num_ctx": settings.context_tokens,
                "num_predict": max_tokens,
                "temperature": temperature,
                "repeat_penalty": settings.repeat_penalty,
            },
        }

    @property
    def _trust_env(self) -> bool:
        """A proxy of the environment cannot reach this machine's own loopback."""
        return not is_here(self._url)

    def _refused(self, client: "ollama.Client", cause: "ollama.ResponseError") -> StartupError:
        model = self.config.llm.model
        if cause.status_code != _NOT_FOUND:
            return StartupError(
                f"Ollama at {self._url} cannot load {model} ({cause.error}); "
                "set llm.model to another model"
            )
        pulled = sorted(each.model for each in client.list().models if each.model)
        there = f"; there are: {', '.join(pulled)}" if pulled else ""
        return StartupError(
            f"model {model} is not pulled at {self._url}{there}; "
            f"run: ollama pull {model}, or set llm.model to another"
        )


def _as_json(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Return messages in Ollama's form, where arguments are objects and outputs have names."""
    names = {call.call_id: call.name for message in messages for call in message.calls}
    made = []
    for message in messages:
        entry: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.calls:
            entry["tool_calls"] = [
                {"function": {"name": call.name, "arguments": _arguments(call.arguments)}}
                for call in message.calls
            ]
        if message.role == "tool":
            entry["tool_name"] = names.get(message.call_id, "")
        made.append(entry)
    return made


def _keep_alive(text: str) -> str | int:
    """Return a duration in Ollama's form, where a number of seconds is no text."""
    return int(text) if text.lstrip("-").isdigit() else text


def _arguments(text: str) -> dict[str, Any]:
    try:
        made = json.loads(text)
    except ValueError:
        return {}
    return made if isinstance(made, dict) else {}


def _usage(before: Usage, last: "ollama.ChatResponse") -> Usage:
    return Usage(
        before.input_tokens + (last.prompt_eval_count or 0),
        before.output_tokens + (last.eval_count or 0),
        "length" if last.done_reason == "length" else "stop",
    )
