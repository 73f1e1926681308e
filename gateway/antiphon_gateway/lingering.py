"""The end of a WebSocket whose client goes on sending: what still comes is read and dropped.

A socket that is closed while bytes wait in it, or come, answers them with a reset. A client that
meets the reset while it sends may never see the close code that was sent before. aiohttp waits for
the client's answer to a close code, but not after what it could not parse: a message over the
limit, text that is no UTF-8, no WebSocket frame.
"""

import asyncio
import contextlib
import socket as sockets
from typing import cast

from aiohttp import WebSocketError, WSCloseCode, web
from aiohttp.abc import AbstractStreamWriter

PATIENCE_S = 2.0
"""How long a client may take to end such a connection, which holds no session any more."""

MAX_AT_ONCE = 64
"""So many are held at a time: each has two open files for `PATIENCE_S`. Further ones are reset."""

PACE_S = 0.005
"""From one reading to the next: 13 MB/s, at which a client that sends faster disturbs nobody."""
_dropped = bytearray(64 * 1024)
"""Where the bytes of all of them go."""
_held: set["_Lingering"] = set()


class PatientSocket(web.WebSocketResponse):
    """A WebSocket whose close code reaches its client also when that is sending."""

    _transport: asyncio.Transport | None = None

    @property
    def close_code(self) -> int | None:
        """The code it ended with; aiohttp has 1006 in place of what it sent to such a client."""
        broke = self.exception()
        return broke.code if isinstance(broke, WebSocketError) else super().close_code

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Answer the handshake. Raises ConnectionError."""
        self._transport = request.transport
        return await super().prepare(request)

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True
    ) -> bool:
        """Send a close code, once; False when that was done before."""
        first = await super().close(code=code, message=message, drain=drain)
        if first and self._transport is not None and isinstance(self.exception(), WebSocketError):
            _linger(self._transport)
        return first


def _linger(transport: asyncio.Transport) -> None:
    """Outlive a transport that is closing. It may hold its socket only until the next callback."""
    if len(_held) >= MAX_AT_ONCE:
        transport.abort()  # what of the close code is in the kernel may still arrive
        return
    with contextlib.suppress(OSError):  # the client was faster, or the server is out of files
        _Lingering(transport, transport.get_extra_info("socket").dup())


class _Lingering(asyncio.Protocol):
    """A second hold on a connection: it begins to read when the transport has done its part.

    Before that, TLS may have to say goodbye, and what is left of the close code to be written.
    """

    def __init__(self, transport: asyncio.Transport, line: sockets.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport, self._line = transport, line
        self._inner = cast(asyncio.Protocol, transport.get_protocol())
        self._timer = self._loop.call_later(PATIENCE_S, self._end)
        transport.set_protocol(self)
        _held.add(self)

    def data_received(self, data: bytes) -> None:
        """Drop it."""

    def pause_writing(self) -> None:
        """Pass on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on, tell the client that nothing more comes, and read what it still sends."""
        self._inner.connection_lost(exc)
        self._inner = asyncio.Protocol()  # what was received there is not kept meanwhile
        try:
            self._line.shutdown(sockets.SHUT_WR)
        except OSError:  # the client has gone, or its time was up
            self._end()
        else:
            self._drop()

    def _drop(self) -> None:
        try:
            ended = not self._line.recv_into(_dropped)
        except BlockingIOError:
            ended = False
        except OSError:  # a reset, or its time was up
            ended = True
        if ended:
            self._end()
        else:
            self._loop.call_later(PACE_S, self._drop)

    def _end(self) -> None:
        """Give everything back; may be called again."""
        _held.discard(self)
        self._timer.cancel()
        self._line.close()
        self._transport.abort()
