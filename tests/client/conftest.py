"""A scripted Realtime server on a real socket."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from scripted_peer import SESSION, Peer

Script = Callable[[Peer], Awaitable[None]]
Serve = Callable[..., Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server that plays a script to each client; returns its address."""
    servers: list[TestServer] = []

    async def start(
        script: Script, *, protocols: tuple[str, ...] = ("antiphon.v1",), greet: bool = True
    ) -> str:
        async def session(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse(protocols=protocols)
            await socket.prepare(request)
            if greet:
                await socket.send_str(json.dumps(SESSION))
            await script(Peer(socket, request))
            return socket

        return await start_app(session)

    async def start_app(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        app = web.Application()
        app.router.add_get("/v1/realtime", handler)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        servers.append(server)
        return str(server.make_url("/v1/realtime").with_scheme("ws"))

    start.app = start_app  # type: ignore[attr-defined]
    yield start
    for server in servers:
        await server.close()
