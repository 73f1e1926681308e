"""A client that goes on sending after what it may not send sees the close code."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from certificates import needs_openssl, tls_contexts

from antiphon_gateway import lingering
from antiphon_gateway.connection import MAX_TEXT_BYTES, new_socket

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TOO_LARGE = b"\x81\xff" + struct.pack(">Q", MAX_TEXT_BYTES + 1) + bytes(4)
NO_UTF8 = b"\x81\x81" + bytes(4) + b"\xff"
NO_FRAME = b"\xff\xff" + bytes(4)
PIECE = bytes(64 * 1024)
PIECES = 256
"""More than the kernel holds for a server that does not read."""


class Ends:
    """When the server was done with a client."""

    def __init__(self) -> None:
        self.handled = asyncio.Event()
        """Its handler has returned: a session would have given up its place."""
        self.over = asyncio.Event()
        """Nothing of it is read any more."""


@pytest.fixture
async def ends(monkeypatch: pytest.MonkeyPatch) -> Ends:
    noted, end = Ends(), lingering._Lingering._end

    def note(self: lingering._Lingering) -> None:
        end(self)
        noted.over.set()

    monkeypatch.setattr(lingering._Lingering, "_end", note)
    monkeypatch.setattr(lingering, "PACE_S", 0.0)
    return noted


@asynccontextmanager
async def serving(ends: Ends, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, int]]:
    """Serve WebSockets until their clients or what they send end them; yield the address."""

    async def talk(request: web.Request) -> web.WebSocketResponse:
        answer = new_socket(None)
        await answer.prepare(request)
        async for _ in answer:
            pass
        ends.handled.set()
        return answer

    app = web.Application()
    app.router.add_get("/", talk)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield runner.addresses[0]
    finally:
        await runner.cleanup()


def send(line: socket.socket, wrong: bytes) -> bytes:
    """Shake hands and send what is wrong; return what comes before the server says it is done."""
    line.sendall(HANDSHAKE)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += line.recv(4_096)
    line.sendall(wrong)
    told = b""
    while more := line.recv(4_096):
        told += more
    return told


@pytest.mark.parametrize(
    ("wrong", "code"),
    [(TOO_LARGE, 1009), (NO_UTF8, 1007), (NO_FRAME, 1002)],
    ids=["large", "no text", "no frame"],
)
async def test_what_comes_after_the_close_code_is_not_answered_with_a_reset(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, wrong: bytes, code: int
) -> None:
    monkeypatch.setattr(lingering, "PATIENCE_S", 30.0)
    async with serving(ends) as address:
        await asyncio.to_thread(go_on_sending, address, wrong, code, lambda line: line)
        assert ends.handled.is_set()
        await asyncio.wait_for(ends.over.wait(), 10)


@needs_openssl
async def test_nor_is_it_where_the_connection_is_encrypted(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lingering, "PATIENCE_S", 30.0)
    own, trusted = tls_contexts(tmp_path)

    def encrypted(line: socket.socket) -> socket.socket:
        return trusted.wrap_socket(line, server_hostname="localhost")

    async with serving(ends, own) as address:
        await asyncio.to_thread(go_on_sending, address, TOO_LARGE, 1009, encrypted)
        assert ends.handled.is_set()
        await asyncio.wait_for(ends.over.wait(), 10)


def go_on_sending(
    address: tuple[str, int],
    wrong: bytes,
    code: int,
    wrap: Callable[[socket.socket], socket.socket],
) -> None:
    """Fail unless the client is told the code and may then send as much as it likes."""
    with socket.create_connection(address, timeout=20) as plain, wrap(plain) as line:
        assert send(line, wrong).endswith(b"\x88\x02" + struct.pack(">H", code))
        for _ in range(PIECES):
            line.sendall(PIECE)


@pytest.mark.parametrize("sends", [False, True])
async def test_a_client_that_never_ends_is_left_after_a_while(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, sends: bool
) -> None:
    monkeypatch.setattr(lingering, "PATIENCE_S", 0.3)

    def hold_on(line: socket.socket) -> None:
        send(line, TOO_LARGE)
        while sends:
            line.sendall(PIECE)

    async with serving(ends) as address:
        with socket.create_connection(address, timeout=20) as line:
            holding = asyncio.create_task(asyncio.to_thread(hold_on, line))
            await asyncio.wait_for(ends.handled.wait(), 10)
            await asyncio.wait_for(ends.over.wait(), 10)
            if sends:
                with pytest.raises(ConnectionError):
                    await holding
            await asyncio.wait((holding,))


async def test_so_many_are_held_at_once_and_the_next_is_reset(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "PATIENCE_S", 30.0)
    monkeypatch.setattr(lingering, "MAX_AT_ONCE", 2)

    def wrong(line: socket.socket) -> socket.socket:
        send(line, TOO_LARGE)
        return line

    def goes_on(line: socket.socket) -> None:
        for _ in range(PIECES):
            line.sendall(PIECE)

    async with serving(ends) as address:
        lines = [socket.create_connection(address, timeout=20) for _ in range(4)]
        for line in lines[:2]:
            await asyncio.to_thread(wrong, line)
        with pytest.raises(ConnectionError):
            await asyncio.to_thread(lambda: goes_on(wrong(lines[2])))
        for line in lines[:2]:
            await asyncio.to_thread(goes_on, line)
        lines[0].close()
        await asyncio.wait_for(ends.over.wait(), 10)
        await asyncio.to_thread(lambda: goes_on(wrong(lines[3])))
        for line in lines:
            line.close()


async def test_a_server_that_stops_does_not_wait_for_it(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "PATIENCE_S", 30.0)
    async with serving(ends) as address:
        line = socket.create_connection(address, timeout=20)
        await asyncio.to_thread(send, line, TOO_LARGE)
    assert not ends.over.is_set()
    line.close()
    await asyncio.wait_for(ends.over.wait(), 10)
