"""A WebSocket client of bytes, for what no library would send."""

import asyncio
import base64
import json
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Frame(NamedTuple):
    """A frame of the server."""

    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        """The code of a close frame; 1005 when it has none."""
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) >= 2 else 1005


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, reserved: int = 0) -> bytes:
    """Return a masked frame; the mask is 0, so that the payload can be read."""
    first = (0x80 if final else 0) | reserved << 4 | opcode
    return header(first, len(payload)) + payload


def header(first: int, size: int) -> bytes:
    """Return the header of a masked frame that announces so many bytes."""
    if size < 126:
        return struct.pack("!BB4s", first, 0x80 | size, bytes(4))
    if size < 65_536:
        return struct.pack("!BBH4s", first, 0x80 | 126, size, bytes(4))
    return struct.pack("!BBQ4s", first, 0x80 | 127, size, bytes(4))


def text(**event: Any) -> bytes:
    """Return an event as a text frame."""
    return frame(TEXT, json.dumps(event).encode())


def handshake(port: int, *headers: str) -> bytes:
    """Return the request that opens a session."""
    lines = [
        "GET /v1/realtime HTTP/1.1",
        f"Host: localhost:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class RawSession:
    """An open WebSocket."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: str
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.answer = answer

    async def send(self, data: bytes) -> None:
        """Send bytes; a connection that the server has ended takes them silently."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            return

    async def receive(self) -> Frame:
        """Return the next frame. Raises EOFError or ConnectionError at the end."""
        first, size = await self.reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.reader.readexactly(8), "big")
        return Frame(first & 0x0F, await self.reader.readexactly(size))

    async def until(self, opcode: int, within_s: float = 10.0) -> Frame:
        """Return the next frame of a kind."""
        async with asyncio.timeout(within_s):
            while True:
                got = await self.receive()
                if got.opcode == opcode:
                    return got

    async def close_code(self, within_s: float = 10.0) -> int:
        """Read up to the close frame; return its code. 1006: the connection ended without."""
        try:
            return (await self.until(CLOSE, within_s)).close_code
        except (EOFError, ConnectionError):
            return 1006


@asynccontextmanager
async def opened(
    port: int, *headers: str, receive_buffer_bytes: int = 0
) -> AsyncIterator[RawSession]:
    """Open a session; abort the connection after the block."""
    line = socket.socket()
    if receive_buffer_bytes:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=line)
    try:
        writer.write(handshake(port, *headers))
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        if " 101 " not in answer:
            raise ConnectionRefusedError(answer.splitlines()[0])
        yield RawSession(reader, writer, answer)
    finally:
        writer.transport.abort()
