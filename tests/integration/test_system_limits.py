"""Clients that take too much, or nothing: each meets its limit, no other is harmed."""

import asyncio
import base64
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
from system import SIMULATED, System, running_system
from system_client import Client, connected, silence

pytestmark = [pytest.mark.integration, pytest.mark.models]

MIB = 1024 * 1024
FEW_MESSAGES = {"gateway.message_burst": 10, "gateway.message_rate": 20}
FLOOD = 50
FLOOD_S = (FLOOD - 10 - 1) / 20
"""At `FEW_MESSAGES` the last is taken so long after the first, at the earliest."""


@pytest.fixture(scope="module")
def usual() -> Iterator[System]:
    """One server with the usual limits: whatever one client does must not harm the next."""
    with running_system(SIMULATED) as server:
        yield server
        server.assert_no_traceback()
        assert all(process.poll() is None for process in server.processes.values())


async def refused(url: str, headers: dict[str, str] | None = None) -> tuple[int, bool]:
    """Return the status of a refused handshake, and whether it says when to come back."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        async with connected(url, headers=headers):
            pass
    return error.value.status, "Retry-After" in (error.value.headers or {})


async def assert_usable(client: Client) -> None:
    """Fail unless the session still holds a turn."""
    await client.say_text("Still there?")
    assert (await client.done())["status"] == "completed"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_key_and_an_address_have_so_many_sessions_each() -> None:
    limits = {
        **SIMULATED,
        "gateway.api_keys": "one,two",
        "gateway.max_sessions_per_key": 1,
        "gateway.max_sessions_per_address": 1,
        "gateway.behind_proxy": True,
    }
    with running_system(limits) as server:
        url = server.realtime_url
        first = {**bearer("one"), "X-Forwarded-For": "198.51.100.1, 203.0.113.1"}
        async with connected(url, headers=first) as client:
            other_address = {**bearer("one"), "X-Forwarded-For": "203.0.113.2"}
            assert await refused(url, other_address) == (429, True)
            other_key = {**bearer("two"), "X-Forwarded-For": "203.0.113.1"}
            assert await refused(url, other_key) == (429, True)
            async with connected(url, headers=bearer("two")):
                await assert_usable(client)


async def test_a_flood_of_audio_is_slowed_and_its_neighbours_are_not() -> None:
    with running_system({**SIMULATED, "gateway.audio_burst_s": 1.0}) as server:
        url = server.realtime_url
        async with connected(url, extended=True) as flood, connected(url) as neighbour:
            began_s = time.monotonic()
            await flood.append(silence(8.0))
            await flood.send("session.update", session={"type": "realtime"})
            await assert_usable(neighbour)
            await flood.event("session.updated")
            assert time.monotonic() - began_s >= (8.0 - 1.0 - 1.0) / 1.5
            await flood.socket.close()


async def test_a_flood_of_messages_is_slowed_and_nothing_of_it_is_lost() -> None:
    with running_system({**SIMULATED, **FEW_MESSAGES}) as server:
        url = server.realtime_url
        async with connected(url) as flood, connected(url) as neighbour:
            began_s = time.monotonic()
            for _ in range(FLOOD):
                await flood.send("session.update", session={"type": "realtime"})
            await assert_usable(neighbour)
            for _ in range(FLOOD):
                await flood.event("session.updated")
            assert time.monotonic() - began_s >= FLOOD_S
        async with opened(server) as (reader, writer, _):
            began_s = time.monotonic()
            ping = struct.pack("!BB4sc", 0x89, 0x81, bytes(4), b"?")
            writer.write(ping * FLOOD)
            for _ in range(FLOOD):
                await reader.readuntil(bytes([0x8A, 1]) + b"?")
            assert time.monotonic() - began_s >= FLOOD_S


async def test_a_session_that_does_nothing_is_closed_but_not_in_its_turn() -> None:
    settings = {**SIMULATED, "gateway.idle_timeout_s": 0.5}
    with running_system(settings) as server:
        async with connected(server.realtime_url) as client:
            await client.say_text("Speak for more than half a second.")
            assert (await client.done())["status"] == "completed"
            assert len(client.audio) > 24_000 * 2
            assert await client.close_code() == 1008


async def test_half_a_handshake_is_cut_off_and_a_session_is_not() -> None:
    with running_system({**SIMULATED, "gateway.handshake_timeout_s": 0.5}) as server:
        async with connected(server.realtime_url) as client:
            lines = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(400)]
            for line in lines:
                line.sendall(b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\n")
                line.settimeout(20)
            async with connected(server.realtime_url) as newcomer:
                await assert_usable(newcomer)
            for line in lines:
                with line:
                    assert await asyncio.to_thread(line.recv, 1) == b""
            await assert_usable(client)


async def test_what_all_clients_leave_unfinished_together_is_bounded(usual: System) -> None:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connected(usual.realtime_url))
        greedy = [await stack.enter_async_context(unfinished(usual)) for _ in range(5)]
        for _, writer in greedy:
            writer.write(bytes(14 * MIB))
            await writer.drain()
        readers = [asyncio.ensure_future(close_frame(reader)) for reader, _ in greedy]
        ended, waiting = await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
        [(code, reason)] = [task.result() for task in ended]
        assert code == 1013
        assert reason.endswith("; retry after 5 s")
        for task in waiting:
            task.cancel()
        await assert_usable(client)


async def test_messages_are_never_inflated(usual: System) -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate"
    async with opened(usual, offer) as (reader, writer, answer):
        assert "permessage-deflate" not in answer
        writer.write(bytes([0xC1, 0x80 | 2]) + bytes(4) + b"{}")
        assert (await close_frame(reader))[0] == 1002


async def test_a_message_in_thousands_of_pieces_is_one_message(usual: System) -> None:
    async with opened(usual) as (reader, writer, _):
        piece = struct.pack("!BB4sc", 0x00, 0x81, bytes(4), b" ")
        writer.write(struct.pack("!BB4sc", 0x01, 0x81, bytes(4), b" ") + piece * 60_000)
        writer.write(struct.pack("!BB4s2s", 0x80, 0x82, bytes(4), b"{}"))
        await writer.drain()
        assert "type is missing" in (await reader.readuntil(b"type is missing")).decode(
            errors="replace"
        )


@asynccontextmanager
async def opened(
    server: System, *headers: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, str]]:
    """Open a session by hand; give the streams and the head of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        "GET /v1/realtime HTTP/1.1",
        f"Host: localhost:{server.port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *headers,
    ]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    answer = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert " 101 " in answer
    try:
        yield reader, writer, answer
    finally:
        writer.transport.abort()


@asynccontextmanager
async def unfinished(
    server: System,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a session and announce a message of 15 MiB that does not come to its end."""
    async with opened(server) as (reader, writer, _):
        writer.write(struct.pack("!BBQ4s", 0x81, 0x80 | 127, 15 * MIB, bytes(4)))
        yield reader, writer


async def close_frame(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Read the server's frames up to the close frame; return its code and reason."""
    while True:
        opcode, size = await reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
        body = await reader.readexactly(size)
        if opcode & 0x0F == 8:
            return int.from_bytes(body[:2], "big"), body[2:].decode()
