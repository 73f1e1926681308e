"""A language model behind the wire formats of Ollama and of OpenAI, as a process of its own.

The model is the embedded one, run by llama.cpp's own server, whose OpenAI-compatible endpoints are
handed out as they are. Before it stands what Ollama documents of its API, as lines of JSON:
`/api/version`, `/api/tags`, `/api/show`, `/api/chat` and `/api/pull`.

`python model_server.py GGUF RECORD KEY EMPTY` prints a line of JSON with both addresses; KEY may be
"", and EMPTY is 1 for an Ollama that has no model before one is pulled. RECORD gets a
line when a chat begins to be answered, and one when it ended: its request, and how.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import xllamacpp
from aiohttp import web
from model_servers import CAPABILITIES, NO_NETWORK, PULLABLE, PULLED_BYTES

_SLOTS = 2
_CONTEXT_TOKENS = 1024
_PULL_STEPS = 20
_PULL_STEP_S = 0.05


def llama_server(model: str, key: str) -> xllamacpp.Server:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.model_alias = {"smollm2"}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [key] if key else []
    parameters.n_threads_http = 4
    parameters.ui = False
    parameters.verbosity = -1
    parameters.n_parallel = _SLOTS
    parameters.n_ctx = _SLOTS * _CONTEXT_TOKENS
    parameters.n_batch = parameters.n_ubatch = 64
    for threads in (parameters.cpuparams, parameters.cpuparams_batch):
        threads.n_threads = 1
        threads.poll = 0
    return xllamacpp.Server(parameters)


class Ollama:
    """The documented API, answered by llama.cpp's server at `url`."""

    def __init__(self, url: str, key: str, record: Path, *, empty: bool) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._record = record
        self._pulled = {} if empty else dict(CAPABILITIES)

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/api/version", self.version),
                web.get("/api/tags", self.tags),
                web.post("/api/show", self.show),
                web.post("/api/chat", self.chat),
                web.post("/api/pull", self.pull),
            ]
        )
        return app

    async def version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "0.13.0"})

    async def tags(self, request: web.Request) -> web.Response:
        details = {"format": "gguf", "family": "llama", "parameter_size": "135M"}
        models = [
            {"name": name, "model": name, "size": 98_362_432, "digest": "0" * 64,
             "modified_at": "2026-11-01T12:00:00Z", "details": details}
            for name in self._pulled
        ]  # fmt: skip
        return web.json_response({"models": models})

    async def show(self, request: web.Request) -> web.Response:
        name = (await request.json()).get("model")
        if name not in self._pulled:
            return not_found(name)
        return web.json_response(
            {
                "capabilities": self._pulled[name],
                "model_info": {},
                "details": {},
                "license": "Apache",
            }
        )

    async def pull(self, request: web.Request) -> web.StreamResponse:
        name = (await request.json())["model"]
        answer = await ndjson(request)
        if self._record.with_name(NO_NETWORK).exists():
            error = 'pull model manifest: Get "https://registry.ollama.ai": no such host'
            await send(answer, {"error": error})
            return answer
        if name not in PULLABLE and name not in self._pulled:
            await send(answer, {"error": "pull model manifest: file does not exist"})
            return answer
        await send(answer, {"status": "pulling manifest"})
        layer = {"status": "pulling 0000", "digest": "sha256:0000", "total": PULLED_BYTES}
        for step in range(_PULL_STEPS + 1):
            await send(answer, {**layer, "completed": PULLED_BYTES * step // _PULL_STEPS})
            await asyncio.sleep(_PULL_STEP_S)
        self._pulled[name] = ["completion"]
        await send(answer, {"status": "success"})
        return answer

    async def chat(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        name = asked.get("model")
        if name not in self._pulled:
            return not_found(name)
        if asked.get("tools") and "tools" not in self._pulled[name]:
            return web.json_response({"error": f"{name} does not support tools"}, status=400)
        ended = {"chunks": 0, "end": "cancelled"}
        self._write({"begun": True})
        try:
            answer = await ndjson(request)
            await self._stream(asked, answer, ended)
            return answer
        finally:
            self._write({"request": asked, **ended})

    def _write(self, line: dict[str, Any]) -> None:
        with self._record.open("a") as record:
            record.write(json.dumps(line) + "\n")

    async def _stream(
        self, asked: dict[str, Any], answer: web.StreamResponse, ended: dict[str, Any]
    ) -> None:
        began = time.monotonic_ns()
        head = {"model": asked["model"], "created_at": "2026-11-01T12:00:00Z"}
        calls: dict[int, list[str]] = {}
        reason, usage = "stop", {"prompt_tokens": 0, "completion_tokens": 0}
        async with (
            aiohttp.ClientSession(headers=self._headers) as http,
            http.post(f"{self._url}/v1/chat/completions", json=openai_request(asked)) as response,
        ):
            async for line in response.content:
                if not line.startswith(b"data: {"):
                    continue
                chunk = json.loads(line.removeprefix(b"data: "))
                usage = chunk.get("usage") or usage
                ended |= {"tokens_read": chunk["timings"]["prompt_n"]} if "timings" in chunk else {}
                for choice in chunk.get("choices", ()):
                    reason = "length" if choice["finish_reason"] == "length" else reason
                    for call in choice["delta"].get("tool_calls") or ():
                        parts = calls.setdefault(call["index"], ["", ""])
                        parts[0] += call["function"].get("name") or ""
                        parts[1] += call["function"].get("arguments") or ""
                    if text := choice["delta"].get("content"):
                        ended["chunks"] += 1
                        message = {"role": "assistant", "content": text}
                        await send(answer, {**head, "message": message, "done": False})
        made = [
            {"function": {"name": name, "arguments": json.loads(arguments or "{}")}}
            for name, arguments in calls.values()
        ]
        if made:
            message = {"role": "assistant", "content": "", "tool_calls": made}
            await send(answer, {**head, "message": message, "done": False})
        took = time.monotonic_ns() - began
        ended["end"] = "done"
        await send(
            answer,
            {
                **head,
                "message": {"role": "assistant", "content": ""},
                "done": True,
                "done_reason": reason,
                "total_duration": took,
                "load_duration": 0,
                "prompt_eval_count": usage["prompt_tokens"],
                "prompt_eval_duration": took // 2,
                "eval_count": usage["completion_tokens"],
                "eval_duration": took // 2,
            },
        )


def openai_request(asked: dict[str, Any]) -> dict[str, Any]:
    """Return a chat of Ollama's API as one of OpenAI's."""
    messages = []
    names: list[str] = []
    for message in asked["messages"]:
        made = {"role": message["role"], "content": message.get("content", "")}
        if calls := message.get("tool_calls"):
            made["tool_calls"] = [
                {"id": f"call_{number}", "type": "function", "function": {
                    "name": call["function"]["name"],
                    "arguments": json.dumps(call["function"]["arguments"])}}
                for number, call in enumerate(calls)
            ]  # fmt: skip
            names = [call["function"]["name"] for call in calls]
        if message["role"] == "tool":
            made["tool_call_id"] = f"call_{names.index(message['tool_name'])}"
        messages.append(made)
    options = asked.get("options", {})
    request = {
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "timings_per_token": False,
        "max_tokens": options.get("num_predict", -1),
    }
    for name in ("temperature", "stop", "repeat_penalty"):
        if name in options:
            request[name] = options[name]
    if isinstance(asked.get("format"), dict):
        request["response_format"] = {
            "type": "json_schema", "json_schema": {"name": "it", "schema": asked["format"]}
        }  # fmt: skip
    if asked.get("tools"):
        request["tools"] = asked["tools"]
    return request


def not_found(name: object) -> web.Response:
    return web.json_response({"error": f"model '{name}' not found"}, status=404)


async def ndjson(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await answer.prepare(request)
    return answer


async def send(answer: web.StreamResponse, line: dict[str, Any]) -> None:
    await answer.write(json.dumps(line).encode() + b"\n")


async def serve(model: str, record: Path, key: str, *, empty: bool) -> None:
    server = llama_server(model, key)
    ollama = Ollama(server.listening_address, key, record, empty=empty)
    # Ollama, too, stops generating when its client has gone.
    runner = web.AppRunner(ollama.app(), handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    addresses = {"ollama": f"http://127.0.0.1:{port}", "openai": f"{server.listening_address}/v1"}
    sys.stdout.write(json.dumps(addresses) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), sys.argv[3], empty=sys.argv[4] == "1"))
