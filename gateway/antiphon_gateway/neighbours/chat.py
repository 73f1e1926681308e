"""`POST /v1/chat/completions`: the language model, whole or streamed."""

import time
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from antiphon_gateway.neighbours import chat_request
from antiphon_gateway.neighbours.bodies import read_json
from antiphon_gateway.neighbours.chat_request import ChatRequest
from antiphon_gateway.neighbours.event_stream import EventStream
from antiphon_gateway.neighbours.jobs import Jobs
from antiphon_gateway.neighbours.refusals import RequestRefused
from antiphon_gateway.neighbours.stop_text import StopText
from antiphon_gateway.realtime.ids import new_id
from antiphon_proto.config import Llm
from antiphon_proto.messages import Done, TextDelta

BUDGET_MS = 300_000


class Completion:
    """One answer of the language model as it grows."""

    def __init__(self, jobs: Jobs, wanted: ChatRequest) -> None:
        self._jobs = jobs
        self._wanted = wanted
        self._done: Done | None = None

    async def text(self) -> AsyncIterator[str]:
        """Yield the text. Raises RequestRefused when it cannot be made."""
        results = self._jobs.start(self._wanted.command, budget_ms=BUDGET_MS)
        cut = StopText(self._wanted.stops)
        async for body, _ in results:
            if isinstance(body, TextDelta) and (text := cut.feed(body.text)):
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

    def __init__(self, settings: Llm, model: str) -> None:
        self._settings = settings
        self._model = model

    async def answer(self, request: web.Request, jobs: Jobs) -> web.StreamResponse:
        """Answer one request."""
        wanted = chat_request.parse(await read_json(request), self._settings)
        completion = Completion(jobs, wanted)
        head = {"id": new_id("chatcmpl"), "created": int(time.time()), "model": self._model}
        if wanted.stream:
            return await self._stream(request, completion, wanted, head)
        text = "".join([part async for part in completion.text()])
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
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
        parts = completion.text()
        # The first text is awaited before the status is sent: a refusal still has one.
        first = await anext(parts, "")
        stream = await EventStream.open(request)
        await stream.send(_chunk(head, {"role": "assistant", "content": first}))
        try:
            async for text in parts:
                await stream.send(_chunk(head, {"content": text}))
        except RequestRefused as refused:
            return await stream.fail(refused)
        await stream.send(_chunk(head, {}, completion.finish_reason))
        if wanted.include_usage and completion.usage is not None:
            await stream.send({**head, "choices": [], "usage": completion.usage})
        return await stream.end()


def _chunk(
    head: dict[str, Any], delta: dict[str, str], finish_reason: str | None = None
) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**head, "choices": [choice]}
