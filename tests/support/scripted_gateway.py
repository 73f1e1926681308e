"""A gateway whose words a test writes, and what is usually said."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from aiohttp import WSMsgType, web
from playwright.async_api import Page, expect

from antiphon_proto import frames
from antiphon_proto.frames import AudioFrame, EncodedFrame, FrameKind, SilenceFrame

WEB = Path(__file__).parents[2] / "web"
RATE_HZ = 24_000
Event = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Samples = npt.NDArray[np.int16]


class ScriptedGateway:
    """One WebSocket of the public protocol; the test says what the server says."""

    def __init__(self) -> None:
        self.url = ""
        self.protocol: str | None = None
        self.frames: list[AudioFrame] = []
        self.encoded: list[EncodedFrame] = []
        self.silences: list[SilenceFrame] = []
        self.connections = 0
        self.session: Event = {"id": "sess_1", "type": "realtime"}
        self.catalogue: Event = {"voices": ["joe", "amy"], "simulated": False}
        self.language_model: Event = {}
        """What the owner of the server is told of its language model."""
        self.language_model_asked: list[tuple[str, Event]] = []
        """Method and body of each request to change it."""
        self.key = ""
        """The access key that is asked for."""
        self.lost: dict[str, int] = {}
        """How many more times a path of the page's code is not to be had."""
        self.full = False
        """Answers 503."""
        self.retry_after_s = 5
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self._closing = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._socket: web.WebSocketResponse | None = None

    def application(self) -> web.Application:

        @web.middleware
        async def lose(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not self.lost.get(request.path):
                return await handler(request)
            self.lost[request.path] -= 1
            return web.Response(status=503)

        app = web.Application(middlewares=[lose])
        app.router.add_get("/", self._index)
        app.router.add_get("/doctor", self._doctor)
        app.router.add_static("/src/", WEB / "src")
        app.router.add_get("/v1/realtime", self._realtime)
        app.router.add_get("/v1/catalogue", self._catalogue)
        app.router.add_route("*", "/v1/language_model", self._language_model)
        app.on_response_prepare.append(self._secure)
        return app

    async def send(self, type_: str, **fields: Any) -> None:
        assert self._socket is not None
        await self._socket.send_json({"type": type_, "event_id": "event_1", **fields})

    async def send_audio(
        self, stream: int, samples: Samples, first: int = 0, size: int = 960
    ) -> None:
        """Send samples as frames of this size (40 ms), from index `first` of the stream on."""
        assert self._socket is not None
        for at in range(0, len(samples), size):
            pcm = samples[at : at + size].tobytes()
            frame = AudioFrame(FrameKind.PLAYBACK, at // size, first + at, RATE_HZ, stream, pcm)
            await self._socket.send_bytes(frame.encode())

    async def event(self, type_: str) -> Event:
        """Return the next event of this type that the page sends; skip others."""
        async with asyncio.timeout(15):
            while (event := await self._events.get())["type"] != type_:
                pass
            return event

    async def received_frames(self, count: int) -> list[AudioFrame]:
        """Return all microphone frames, once there are `count` more than now."""
        wanted = len(self.frames) + count
        async with asyncio.timeout(15), self._changed:
            await self._changed.wait_for(lambda: len(self.frames) >= wanted)
        return self.frames

    async def received_encoded(self, count: int) -> list[EncodedFrame]:
        """Return all chunks of compressed audio, once there are `count` more than now."""
        wanted = len(self.encoded) + count
        async with asyncio.timeout(15), self._changed:
            await self._changed.wait_for(lambda: len(self.encoded) >= wanted)
        return self.encoded

    async def connected(self, count: int = 1) -> None:
        async with asyncio.timeout(15), self._changed:
            await self._changed.wait_for(lambda: self.connections >= count)

    async def disconnected(self) -> None:
        async with asyncio.timeout(15), self._changed:
            await self._changed.wait_for(lambda: self._socket is None or self._socket.closed)

    async def close(self, code: int) -> None:
        """End the connection; return when the page has answered.

        aiohttp waits for that answer only where nobody reads: a page that had not seen the code yet
        would lose it in the reset that its next message meets.
        """
        assert self._socket is not None
        assert self._reading is not None
        async with self._closing:
            self._reading.cancel()
            await asyncio.wait({self._reading})
            await self._socket.close(code=code)

    async def _index(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(WEB / "index.html")

    async def _doctor(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(WEB / "doctor.html")

    async def _catalogue(self, request: web.Request) -> web.Response:
        return web.json_response(self.catalogue)

    async def _language_model(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response(self.language_model)
        body = await request.json() if request.can_read_body else {}
        self.language_model_asked.append((request.method, body))
        return web.json_response({}, status=202)

    async def _secure(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Security-Policy"] = "default-src 'self'"

    async def _realtime(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._refusal(request):
            return refusal
        socket = web.WebSocketResponse(protocols=("antiphon.v1", "realtime"))
        await socket.prepare(request)
        self._socket = socket
        self.protocol = socket.ws_protocol
        await self.send("session.created", session=self.session)
        self._reading = asyncio.create_task(self._read(socket))
        await self._change(connections=1)
        try:
            await asyncio.wait({self._reading})
        finally:
            self._reading.cancel()
        async with self._closing:
            await self._change()
        return socket

    async def _read(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                frame = frames.decode_microphone(message.data)
                if isinstance(frame, EncodedFrame):
                    self.encoded.append(frame)
                elif isinstance(frame, SilenceFrame):
                    self.silences.append(frame)
                else:
                    self.frames.append(frame)
                await self._change()
            else:
                self._events.put_nowait(message.json())

    def _refusal(self, request: web.Request) -> web.Response | None:
        offered = request.headers.get("Sec-WebSocket-Protocol", "").split(", ")
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.key and self.key != bearer and f"openai-insecure-api-key.{self.key}" not in offered:
            return web.json_response({"error": {"message": "no key"}}, status=401)
        if self.full:
            headers = {"Retry-After": str(self.retry_after_s)}
            body = {"error": {"message": "2 sessions are open"}}
            return web.json_response(body, status=503, headers=headers)
        return None

    async def _change(self, connections: int = 0) -> None:
        async with self._changed:
            self.connections += connections
            self._changed.notify_all()


def tone(duration_s: float) -> Samples:
    """A hum at 300 Hz."""
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    return (8_000 * np.sin(2 * np.pi * 300 * time_s)).astype(np.int16)


async def talk(page: Page, gateway: ScriptedGateway) -> None:
    """The page listens."""
    await page.get_by_role("button", name="Talk", exact=True).click()
    await gateway.connected()
    await expect(page.get_by_role("status")).to_have_text("Listening")


async def ask(gateway: ScriptedGateway, item_id: str, text: str) -> None:
    """The user said `text`."""
    await gateway.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id=item_id)
    await gateway.send("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id=item_id)
    content = [{"type": "input_audio", "transcript": None}]
    item = {"id": item_id, "type": "message", "role": "user", "content": content}
    await gateway.send("conversation.item.added", previous_item_id=None, item=item)
    await gateway.send(
        "conversation.item.input_audio_transcription.completed",
        item_id=item_id, content_index=0, transcript=text,
    )  # fmt: skip


async def answer(gateway: ScriptedGateway, number: int, text: str) -> Event:
    """Response `number` begins to say `text` on stream `number`; returns its ids."""
    ids = {"response_id": f"resp_{number}", "item_id": f"item_a{number}", "output_index": 0,
           "content_index": 0}  # fmt: skip
    response = {"id": ids["response_id"], "status": "in_progress", "output": []}
    await gateway.send("response.created", response=response)
    item = {"id": ids["item_id"], "type": "message", "role": "assistant", "content": []}
    await gateway.send("conversation.item.added", previous_item_id=None, item=item)
    await gateway.send("antiphon.audio.started", **ids, stream=number, sample_rate_hz=RATE_HZ)
    await gateway.send("response.output_audio_transcript.delta", **ids, delta=text)
    return ids


async def finish(
    gateway: ScriptedGateway, ids: Event, text: str, status: str = "completed"
) -> None:
    """The response is complete, with `text` as its transcript."""
    await gateway.send("response.output_audio.done", **ids)
    await gateway.send("response.output_audio_transcript.done", **ids, transcript=text)
    content = [{"type": "output_audio", "transcript": text}]
    output = [{"id": ids["item_id"], "type": "message", "role": "assistant", "content": content}]
    response = {"id": ids["response_id"], "status": status, "output": output}
    await gateway.send("response.done", response=response)


async def stats(page: Page) -> Event:
    """What the page says of itself."""
    result: Event = await page.evaluate("window.antiphon.stats()")
    return result
