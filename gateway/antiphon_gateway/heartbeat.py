"""Asks a silent client whether it is there, and ends its connection when no answer comes.

aiohttp's own heartbeat holds against a client that it is not listened to: one that has sent more
than its allowance is not, and what it answers lies behind that.
"""

import asyncio
import contextlib

from aiohttp import web

PING_INTERVAL_S = 20.0
ANSWER_WITHIN_S = 10.0


class Heartbeat:
    """Watches one connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._listening_since_s = self._loop.time()
        self.listening = False
        """Whether what the client sends is received just now."""

    def heard(self) -> None:
        """Something of the client came over the network."""
        self._heard_s = self._loop.time()

    def listen(self) -> None:
        """The next message is received from now on, until `listening` is set to False."""
        self._listening_since_s = self._loop.time()
        self.listening = True

    async def run(self, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        """Return once the connection was ended or is being closed.

        A client that is not listened to is asked as well: the ping meets the reset of one that has
        gone, whatever it has left to be taken. Raises ConnectionError then.
        """
        while not socket.closed:
            silent_s = self._loop.time() - self._heard_s
            if silent_s < PING_INTERVAL_S:
                await asyncio.sleep(PING_INTERVAL_S - silent_s)
                continue
            pinged_s = self._loop.time()
            with contextlib.suppress(TimeoutError):  # a ping, too, may have to wait for room
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    await socket.ping()
                    await asyncio.sleep(ANSWER_WITHIN_S)
            if self.listening and max(self._heard_s, self._listening_since_s) < pinged_s:
                transport.abort()
                return
