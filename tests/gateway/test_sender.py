"""What lies between the server and a client that does not read."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from aiohttp import web
from certificates import needs_openssl, tls_contexts

from antiphon_gateway import sender
from antiphon_gateway.connection import new_socket
from antiphon_gateway.outbox import Outbox

MESSAGE = "x" * 2_048
MESSAGES = 500
KERNEL_BYTES = 96 * 1024
"""What both ends of the connection have at most in the kernel, with the buffers of this test."""
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "STALL_PATIENCE_S", 0.2)


@asynccontextmanager
async def client_of(
    outbox: Outbox, cut_off: asyncio.Event, directory: Path | None = None
) -> AsyncIterator[socket.socket]:
    """Connect a client with little room; `cut_off` is set when nothing is sent to it any more.

    Over TLS, where there is a directory for the certificate.
    """

    async def talk(request: web.Request) -> web.WebSocketResponse:
        answer = new_socket(None)
        await answer.prepare(request)
        assert request.transport is not None
        sender.narrow(request.transport)
        await sender.send(answer, request.transport, outbox.attach(), str, lambda: None)
        cut_off.set()
        return answer

    app = web.Application()
    app.router.add_get("/", talk)
    runner = web.AppRunner(app)
    await runner.setup()
    own, trusting = tls_contexts(directory) if directory else (None, None)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=own).start()

    def connect() -> socket.socket:
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        line.connect(runner.addresses[0])
        return trusting.wrap_socket(line, server_hostname="localhost") if trusting else line

    with closing(await asyncio.to_thread(connect)) as client:
        client.setblocking(False)
        client.sendall(HANDSHAKE)
        yield client
    await runner.cleanup()


@pytest.mark.parametrize("quiet_s", [0.0, 0.5])
async def test_little_is_written_to_a_client_that_does_not_read(quiet_s: float) -> None:
    """Also when nothing was to be sent for longer than the patience with one message lasts."""
    outbox, cut_off = Outbox(), asyncio.Event()
    assert outbox.put(MESSAGE)
    async with client_of(outbox, cut_off):
        await asyncio.sleep(quiet_s)
        for _ in range(MESSAGES):
            assert outbox.put(MESSAGE)
        async with asyncio.timeout(20):
            await cut_off.wait()
    assert outbox.sent * len(MESSAGE) <= KERNEL_BYTES + sender.WRITE_BUFFER_BYTES


@needs_openssl
async def test_nor_is_more_where_the_connection_is_encrypted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    waiting: list[int] = []

    def cut_off(transport: asyncio.Transport) -> None:
        waiting.append(sender.unsent_bytes(transport))
        transport.abort()

    monkeypatch.setattr(sender, "cut_off", cut_off)
    outbox, ended = Outbox(), asyncio.Event()
    async with client_of(outbox, ended, tmp_path):
        for _ in range(MESSAGES):
            assert outbox.put(MESSAGE)
        async with asyncio.timeout(20):
            await ended.wait()
    [unsent] = waiting
    assert 0 < unsent <= 2 * (sender.WRITE_BUFFER_BYTES + len(MESSAGE))


async def test_the_patience_with_a_large_message_ends_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender, "SLOWEST_BYTES_PER_S", 1_024)
    outbox, cut_off = Outbox(), asyncio.Event()
    large = "x" * 30 * 1_024
    assert outbox.put(large)
    async with client_of(outbox, cut_off) as client:
        taken = 0
        while taken < len(large):
            taken += len(await asyncio.get_running_loop().sock_recv(client, 65_536))
        for _ in range(MESSAGES):
            assert outbox.put(MESSAGE)
        async with asyncio.timeout(10):
            await cut_off.wait()
