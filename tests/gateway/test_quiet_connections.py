"""What waits for a client, beneath TLS and in the kernel, is seen by the watch over connections."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from certificates import needs_openssl, tls_contexts

from antiphon_gateway.quiet_connections import QuietConnections

PIECE = bytes(1024 * 1024)
KERNEL_BYTES = 64 * 1024
"""Of either end, which the kernel doubles: less than a third of a piece in all."""
PART_BYTES = 400 * 1024
"""More than the kernel holds: to read it is to have the server hand on more."""


@asynccontextmanager
async def asking(
    watch: QuietConnections, pieces: int, directory: Path | None
) -> AsyncIterator[tuple[socket.socket, web.Server]]:
    """Have a client ask for so many pieces; yield it when the first is on its way.

    Over TLS, with narrow buffers of the kernel, where there is a directory for the certificate.
    """
    begun = asyncio.Event()

    async def tell(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": str(pieces * len(PIECE))})
        await answer.prepare(request)
        for _ in range(pieces):
            begun.set()
            await answer.write(PIECE)
        return answer

    own, trusting = tls_contexts(directory) if directory else (None, None)
    app = web.Application(middlewares=[watch.middleware()])
    app.router.add_get("/", tell)
    runner = web.AppRunner(app, shutdown_timeout=0.0)
    await runner.setup()
    door = socket.create_server(("127.0.0.1", 0))
    if directory is not None:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
    await web.SockSite(runner, door, ssl_context=own).start()

    def ask() -> socket.socket:
        line = socket.socket()
        line.settimeout(10)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
        line.connect(runner.addresses[0])
        if trusting is not None:
            line = trusting.wrap_socket(line, server_hostname="localhost")
        line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return line

    try:
        with await asyncio.to_thread(ask) as client:
            await asyncio.wait_for(begun.wait(), 10)
            assert runner.server is not None
            yield client, runner.server
    finally:
        await runner.cleanup()


async def read(client: socket.socket, size: int) -> int:
    """Read so many bytes, or what there is; return how many."""

    def take() -> int:
        taken = 0
        while taken < size and (part := client.recv(min(size - taken, 64 * 1024))):
            taken += len(part)
        return taken

    return await asyncio.to_thread(take)


@needs_openssl
async def test_who_has_an_answer_to_read_is_not_quiet_though_it_was_given(tmp_path: Path) -> None:
    watch = QuietConnections(limit_s=10, unread_timeout_s=60)
    async with asking(watch, 1, tmp_path) as (client, server):
        await read(client, PART_BYTES)
        now_s = asyncio.get_running_loop().time()
        assert [watch.sweep(server.connections, now_s + later_s) for later_s in (0, 50)] == [0, 0]
        assert await read(client, len(PIECE) - PART_BYTES) == len(PIECE) - PART_BYTES


@needs_openssl
async def test_who_reads_slowly_is_seen_to_read_and_who_reads_nothing_is_not(
    tmp_path: Path,
) -> None:
    watch = QuietConnections(limit_s=10, unread_timeout_s=60)
    async with asking(watch, 2, tmp_path) as (client, server):
        now_s = asyncio.get_running_loop().time()
        for later_s in (0, 50, 100):
            assert watch.sweep(server.connections, now_s + later_s) == 0
            await read(client, PART_BYTES)
        assert [watch.sweep(server.connections, now_s + s) for s in (150, 209, 211)] == [0, 0, 1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what its kernel keeps")
async def test_who_takes_of_what_the_kernel_has_is_seen_to_read() -> None:
    watch = QuietConnections(limit_s=10, unread_timeout_s=60)
    async with asking(watch, 24, None) as (client, server):
        now_s = asyncio.get_running_loop().time()
        for later_s in range(0, 150, 25):
            assert watch.sweep(server.connections, now_s + later_s) == 0
            await read(client, PART_BYTES // 4)
