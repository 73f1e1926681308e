"""Closes network connections that ask for nothing, or take nothing of what they asked for."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from antiphon_gateway.sender import cut_off, unacknowledged_bytes, unsent_bytes

SWEEP_S = 1.0

_log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Closable(Protocol):
    """The server's end of a network connection."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """What it sends by; None once it is closed."""

    def force_close(self) -> None:
        """Close it at once."""


class QuietConnections:
    """Knows which connections have a request in flight, and since when the others have none.

    A connection is not quiet while an answer waits for its client to read.
    """

    def __init__(self, limit_s: float, unread_timeout_s: float) -> None:
        self._limit_s = limit_s
        self._unread_timeout_s = unread_timeout_s
        self._busy: Counter[Closable] = Counter()
        self._quiet_since_s: dict[Closable, float] = {}
        self._unread: dict[Closable, tuple[int, float]] = {}
        """How many bytes wait for the client, and since when so many."""

    def begin(self, connection: Closable) -> None:
        """A request has been read; a WebSocket stays one as long as it is open."""
        self._busy[connection] += 1
        self._quiet_since_s.pop(connection, None)

    def end(self, connection: Closable, now_s: float) -> None:
        """A request has been answered."""
        self._busy[connection] -= 1
        if not self._busy[connection]:
            del self._busy[connection]
            self._quiet_since_s[connection] = now_s

    def sweep(self, connections: Iterable[Closable], now_s: float) -> int:
        """Close what has been quiet or unread too long, of all open connections; return how many.

        At `now_s`, seconds of the event loop's clock.
        """
        since_s: dict[Closable, float] = {}
        unread: dict[Closable, tuple[int, float]] = {}
        for connection in connections:
            if (transport := connection.transport) and (size := unsent_bytes(transport)):
                size += unacknowledged_bytes(transport)
                before, moved_s = self._unread.get(connection, (0, now_s))
                unread[connection] = size, moved_s if size == before else now_s
            elif connection not in self._busy:
                since_s[connection] = self._quiet_since_s.get(connection, now_s)
        late = [each for each, quiet_s in since_s.items() if now_s - quiet_s >= self._limit_s]
        for connection in late:
            del since_s[connection]
            connection.force_close()
        deaf = [
            each
            for each, (_, moved_s) in unread.items()
            if now_s - moved_s >= self._unread_timeout_s
        ]
        for connection in deaf:
            del unread[connection]
            if (transport := connection.transport) is not None:
                _log.info("client cut off: it does not read its answer")
                cut_off(transport)
        self._quiet_since_s, self._unread = since_s, unread
        return len(late) + len(deaf)

    def middleware(self) -> Middleware:
        """Return the outermost middleware of the application."""

        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.begin(request.protocol)
            try:
                answer = await handler(request)
                if isinstance(answer, web.FileResponse):
                    # Or the kernel would send the file itself: how much has gone is not seen, and
                    # asyncio leaves the file open when the connection is closed meanwhile.
                    answer.enable_compression(web.ContentCoding.identity)
                return answer
            finally:
                self.end(request.protocol, asyncio.get_running_loop().time())

        return note

    async def run(self, server: web.Server) -> None:
        """Sweep until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep(server.connections, loop.time())
