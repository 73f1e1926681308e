"""Closes network connections that stay open without asking for anything (slow handshakes)."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

SWEEP_S = 1.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Closable(Protocol):
    """The server's end of a network connection."""

    def force_close(self) -> None:
        """Close it at once."""


class QuietConnections:
    """Knows which connections have a request in flight, and since when the others have none."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._busy: Counter[Closable] = Counter()
        self._quiet_since_s: dict[Closable, float] = {}

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
        """Close what has been quiet too long, of all open connections; return how many."""
        since_s = {
            connection: self._quiet_since_s.get(connection, now_s)
            for connection in connections
            if connection not in self._busy
        }
        late = [each for each, quiet_s in since_s.items() if now_s - quiet_s >= self._limit_s]
        for connection in late:
            del since_s[connection]
            connection.force_close()
        self._quiet_since_s = since_s
        return len(late)

    def middleware(self) -> Middleware:
        """Return the outermost middleware of the application."""

        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.begin(request.protocol)
            try:
                return await handler(request)
            finally:
                self.end(request.protocol, asyncio.get_running_loop().time())

        return note

    async def run(self, server: web.Server) -> None:
        """Sweep until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep(server.connections, loop.time())
