"""Clients that break off anywhere: nothing of them stays behind."""

import asyncio
import base64
import json
import os
import random
import struct

import pytest
from system import GATEWAY, SIMULATED, System, running_system
from system_client import connected

pytestmark = [pytest.mark.integration, pytest.mark.models]

CYCLES = 200
AT_ONCE = 20
KEY = base64.b64encode(bytes(16)).decode()
HANDSHAKE = (
    "GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {KEY}\r\n\r\n"
).encode()
POINTS = (
    "connected",
    "half a handshake",
    "asked",
    "opened",
    "half a message",
    "in turn",
    "closing",
)


async def break_off(server: System, chance: random.Random) -> None:
    """Open a connection and abort it at a random point."""
    point = chance.choice(POINTS)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        if point == "half a handshake":
            writer.write(HANDSHAKE[: chance.randrange(1, len(HANDSHAKE))])
        elif point != "connected":
            writer.write(HANDSHAKE)
        if point in ("opened", "half a message", "in turn", "closing"):
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        if point == "half a message":
            writer.write(frame(b" " * 100_000)[: chance.randrange(1, 100_000)])
        elif point == "in turn":
            writer.write(frame(json.dumps({"type": "response.create"}).encode()))
            await reader.readuntil(b"response.created")
        elif point == "closing":
            writer.write(struct.pack("!BB4sH", 0x88, 0x82, bytes(4), 1000))
        await writer.drain()
    finally:
        writer.transport.abort()


def frame(payload: bytes) -> bytes:
    """Return a whole text message."""
    size = len(payload)
    if size > 125:
        return struct.pack("!BBQ4s", 0x81, 0x80 | 127, size, bytes(4)) + payload
    return struct.pack("!BB4s", 0x81, 0x80 | size, bytes(4)) + payload


def descriptors(server: System) -> int:
    """Return how many files and sockets the gateway has open (Linux)."""
    return len(os.listdir(f"/proc/{server.pid(GATEWAY)}/fd"))


async def test_clients_that_break_off_anywhere_leave_nothing_behind() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    chance = random.Random(seed)
    with running_system({**SIMULATED, "gateway.handshake_timeout_s": 1.0}) as server:
        before = descriptors(server)
        for _ in range(CYCLES // AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(break_off(server, chance))

        def nothing_is_left() -> bool:
            answer = server.get("/v1/status")
            assert answer is not None
            status = answer.json()
            busy = [w for s in status["stages"].values() for w in s["workers"] if w["outstanding"]]
            return not (status["sessions"] or status["pending_input_bytes"] or busy)

        server.wait_for(nothing_is_left, 20)
        server.wait_for(lambda: descriptors(server) <= before + 2, 20)
        async with connected(server.realtime_url) as client:
            await client.say_text("Still there?")
            assert (await client.done())["status"] == "completed"
        server.assert_no_traceback()
