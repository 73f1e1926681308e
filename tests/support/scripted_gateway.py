"""A gateway whose every word the test writes, for tests of the page."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from aiohttp import WSMsgType, web

from antiphon_proto import frames
from antiphon_proto.frames import AudioFrame, FrameKind

WEB = Path(__file__).parents[2] / "web"
RATE_HZ = 24_000
Event = dict[str, Any]
Samples = npt.NDArray[np.int16]


class ScriptedGateway:
    """One WebSocket of the public protocol; the test says what the server says."""

    def __init__(self) -> None:
        self.url = ""
        self.protocol: str | None = None
        self.frames: list[AudioFrame] = []
        self.connections = 0
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self._socket: web.WebSocketResponse | None = None

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/", self._index)
        app.router.add_static("/src/", WEB / "src")
        app.router.add_get("/v1/realtime", self._realtime)
        app.on_response_prepare.append(self._secure)
        return app

    async def send(self, type_: str, **fields: Any) -> None:
        assert self._socket is not None
        await self._socket.send_json({"type": type_, "event_id": "event_1", **fields})

    async def send_audio(self, stream: int, samples: Samples, first: int = 0) -> None:
        """Send samples as 40 ms frames that continue at index `first` of the stream."""
        assert self._socket is not None
        for at in range(0, len(samples), 960):
            pcm = samples[at : at + 960].tobytes()
            frame = AudioFrame(FrameKind.PLAYBACK, at // 960, first + at, RATE_HZ, stream, pcm)
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

    async def connected(self, count: int = 1) -> None:
        async with asyncio.timeout(15), self._changed:
            await self._changed.wait_for(lambda: self.connections >= count)

    async def disconnected(self) -> None:
        async with asyncio.timeout(15), self._changed:
            await self._changed.wait_for(lambda: self._socket is None or self._socket.closed)

    async def close(self, code: int) -> None:
        assert self._socket is not None
        await self._socket.close(code=code)

    async def _index(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(WEB / "index.html")

    async def _secure(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Security-Policy"] = "default-src 'self'"

    async def _realtime(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("antiphon.v1", "realtime"))
        await socket.prepare(request)
        self._socket = socket
        self.protocol = socket.ws_protocol
        await self.send("session.created", session={"id": "sess_1", "type": "realtime"})
        await self._change(connections=1)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                self.frames.append(frames.decode(message.data))
                await self._change()
            else:
                self._events.put_nowait(message.json())
        await self._change()
        return socket

    async def _change(self, connections: int = 0) -> None:
        async with self._changed:
            self.connections += connections
            self._changed.notify_all()
