"""`POST /v1/chat/completions`: the language model, whole or streamed."""

import time
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from antiphon_gateway.neighbours import chat_request
from antiphon_gateway.neighbours.bodies import read_json
from antiphon_gateway.neighbours.chat_request import ChatRequest
from antiphon_gateway.neighbours.chat_tools import call_deltas, call_json
from antiphon_gateway.neighbours.event_stream import EventStream
from antiphon_gateway.neighbours.jobs import Jobs
from antiphon_gateway.neighbours.refusals import RequestRefused
from antiphon_gateway.neighbours.stop_text import StopText
from antiphon_gateway.realtime.ids import new_id
from antiphon_gateway.running_models import RunningModels
from antiphon_proto.config import Llm
from antiphon_proto.conversation import FunctionCall
from antiphon_proto.messages import Done, FunctionCalled, TextDelta

BUDGET_MS = 300_000


class Completion:
    """One answer of the language model as it grows."""

    def __init__(self, jobs: Jobs, wanted: ChatRequest) -> None:
        self._jobs = jobs
        self._wanted = wanted
        self._done: Done | None = None
        self._called = False
        self._offered = {function.name for function in wanted.command.functions}

    async def parts(self) -> AsyncIterator[str | FunctionCall]:
        """Yield text, then calls. Raises RequestRefused when they cannot be made."""
        results = self._jobs.start(self._wanted.command, budget_ms=BUDGET_MS)
        cut = StopText(self._wanted.stops)
        async for body, _ in results:
            if isinstance(body, FunctionCalled):
                if rest := cut.finish():
                    yield rest
                one_more = not (self._called and self._wanted.one_call)
                if one_more and body.name in self._offered:
                    self._called = True
                    yield FunctionCall(new_id("call"), body.name, body.arguments)
            elif isinstance(body, TextDelta) and (text := cut.feed(body.text)):
                yield text
            if cut.stopped:
                # The engine does not know stop strings, and would go on.
                self._jobs.cancel(results)
                return
        self._done = results.done
        if rest := cut.finish():
            yield rest

    @property
    def finish_reason(self) -> str:
        """Why it ended."""
        if self._called:
            return "tool_calls"
        return "stop" if self._done is None else self._done.finish_reason

    @property
    def usage(self) -> dict[str, int] | None:
        """How many tokens it took; None when it was cut off and nobody counted."""
        if self._done is None:
            return None
        read, written = self._done.input_tokens, self._done.output_tokens
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }


class Chat:
    """Answers chats with the server's one language model, whatever model a client names."""

    def __init__(self, settings: Llm, running: RunningModels) -> None:
        self._settings = settings
        self._running = running

    async def answer(self, request: web.Request, jobs: Jobs) -> web.StreamResponse:
        """Answer one request."""
        wanted = chat_request.parse(await read_json(request), self._settings)
        completion = Completion(jobs, wanted)
        model = self._running.catalogue.model
        head = {"id": new_id("chatcmpl"), "created": int(time.time()), "model": model}
        if wanted.stream:
            return await self._stream(request, completion, wanted, head)
        parts = [part async for part in completion.parts()]
        text = "".join(part for part in parts if isinstance(part, str))
        calls = [call_json(part) for part in parts if not isinstance(part, str)]
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if calls:
            message |= {"content": text or None, "tool_calls": calls}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": completion.finish_reason,
        }
        body = {**head, "object": "chat.completion", "choices": [choice]}
        if completion.usage is not None:
            body["usage"] = completion.usage
        return web.json_response(body)

    async def _stream(
        self,
        request: web.Request,
        completion: Completion,
        wanted: ChatRequest,
        head: dict[str, Any],
    ) -> web.StreamResponse:
        head = {**head, "object": "chat.completion.chunk"}
        parts = completion.parts()
        # The first part is awaited before the status is sent: a refusal still has one.
        first = await anext(parts, "")
        stream = await EventStream.open(request)
        calls = 0
        role: dict[str, Any] = {"role": "assistant"}
        try:
            async for part in _chain(first, parts):
                for delta in _deltas(part, calls):
                    await stream.send(_chunk(head, {**role, **delta}))
                    role = {}
                calls += not isinstance(part, str)
        except RequestRefused as refused:
            return await stream.fail(refused)
        await stream.send(_chunk(head, {}, completion.finish_reason))
        if wanted.include_usage and completion.usage is not None:
            await stream.send({**head, "choices": [], "usage": completion.usage})
        return await stream.end()


async def _chain(
    first: str | FunctionCall, others: AsyncIterator[str | FunctionCall]
) -> AsyncIterator[str | FunctionCall]:
    yield first
    async for part in others:
        yield part


def _deltas(part: str | FunctionCall, calls: int) -> list[dict[str, Any]]:
    """Return the deltas of a part before which so many functions were called."""
    return [{"content": part}] if isinstance(part, str) else call_deltas(part, calls)


def _chunk(
    head: dict[str, Any], delta: dict[str, Any], finish_reason: str | None = None
) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**head, "choices": [choice]}
