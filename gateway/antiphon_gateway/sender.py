"""The one sender of a WebSocket. A client that does not read is cut off, and costs little."""

import asyncio
import fcntl
import logging
import socket as sockets
import struct
import sys
import termios
from collections.abc import Callable
from contextlib import closing

from aiohttp import web

from antiphon_gateway.outbox import Feed

SEND_BUFFER_BYTES = 16 * 1024
"""Of the kernel, which doubles it: half a second of audio. Its own choice is up to 4 MB, more than
a minute, and what lies there can neither be taken back nor counted."""
WRITE_BUFFER_BYTES = 4 * 1024
STALL_PATIENCE_S = 4.0
"""How long a client may take to make room for one message, and longer for a large one:"""
SLOWEST_BYTES_PER_S = 32 * 1024
CLOSE_PATIENCE_S = 4.0
"""How long a client may take to read what waits and the close code."""

_log = logging.getLogger(__name__)


class _Patience:
    """Ends the sender when a message takes too long; one timer sees to many messages."""

    def __init__(self, limit: asyncio.Timeout) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._due_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, size: int) -> None:
        """A message of so many characters or bytes is being sent."""
        self._due_s = self._loop.time() + STALL_PATIENCE_S + size / SLOWEST_BYTES_PER_S
        if self._timer is None or self._timer.when() > self._due_s:
            self.close()
            self._timer = self._loop.call_at(self._due_s, self._ring)

    def end(self) -> None:
        """It has room."""
        self._due_s = None

    def end_in(self, seconds: float) -> None:
        """All shall be sent, and the connection closed, in this time."""
        if not self._limit.expired():
            self._limit.reschedule(self._loop.time() + seconds)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._timer = None
        if self._due_s is None:
            return
        if self._loop.time() < self._due_s:
            self._timer = self._loop.call_at(self._due_s, self._ring)
        else:
            self.end_in(0)


def _below(transport: asyncio.Transport) -> asyncio.Transport | None:
    """Return the socket's transport beneath that of TLS; None where there is none.

    asyncio has no public name for it, and counts and limits in the upper one only what TLS itself
    holds: all that waits for the client lies beneath, up to 64 KiB of it unlimited.
    """
    below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    return below if isinstance(below, asyncio.Transport) else None


def unsent_bytes(transport: asyncio.Transport) -> int:
    """Return how much waits in this process until the client takes more."""
    below = _below(transport)
    return transport.get_write_buffer_size() + (below.get_write_buffer_size() if below else 0)


def unacknowledged_bytes(transport: asyncio.Transport) -> int:
    """Return how much the kernel still keeps for the client (Linux; elsewhere 0).

    It takes more only when a third of up to 4 MB has gone: from a client that reads slowly, minutes
    in which what waits in this process stands still.
    """
    line = transport.get_extra_info("socket")
    try:
        return int.from_bytes(fcntl.ioctl(line, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except (OSError, TypeError, ValueError):  # it does not tell, or there is no socket any more
        return 0


def narrow(transport: asyncio.Transport) -> None:
    """Have little wait on its way to a client, so that one that does not read is noticed."""
    transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
    if (below := _below(transport)) is not None:
        below.set_write_buffer_limits(high=0)  # so that what waits, waits above, and is limited
    line = transport.get_extra_info("socket")
    if line is not None:
        line.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, SEND_BUFFER_BYTES)


def cut_off(transport: asyncio.Transport) -> None:
    """End the connection of a client that does not read, with all that it did not take."""
    if (line := transport.get_extra_info("socket")) is not None:
        # Without a reset the kernel would keep what the client did not take, for minutes.
        line.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def send(
    socket: web.WebSocketResponse,
    transport: asyncio.Transport,
    feed: Feed,
    to_client: Callable[[str], str | None],
    stop_reading: Callable[[], None],
) -> None:
    """Send what there is to send; cut off a client that takes too long to read or to be closed.

    `to_client` returns a text message in the client's form, or None for none. `stop_reading` ends
    the reader of `socket`. `socket.close` reads until the client has answered the close code only
    where nobody else waits for a message, and otherwise ends the connection at once: what the
    client had on its way would then be answered with a reset, on which it may never see the code.
    """
    try:
        async with asyncio.timeout(None) as limit:
            with closing(_Patience(limit)) as patience:
                feed.on_close(lambda: patience.end_in(CLOSE_PATIENCE_S))
                while (message := await feed.get()) is not None:
                    patience.begin(len(message))
                    if isinstance(message, str):
                        if (text := to_client(message)) is not None:
                            await socket.send_str(text)
                    else:
                        await socket.send_bytes(message)
                    patience.end()
                code, reason = feed.closing or (1000, "")
                stop_reading()
                await socket.close(code=code, message=reason.encode())
    except TimeoutError:
        _log.info("client cut off: it does not read")
        cut_off(transport)
    finally:
        feed.on_close(lambda: None)
