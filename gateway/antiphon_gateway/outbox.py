"""What waits to be sent on one WebSocket: bounded, in order, one sender.

Policy when full: the client reads too slowly to be served and is disconnected. Audio is paced, so a
client that reads in real time never has more than a second waiting.
"""

import asyncio
from collections import deque
from collections.abc import Callable

MAX_BYTES = 2 * 1024 * 1024
MAX_MESSAGES = 4_096


class Outbox:
    """A bounded queue of text and binary messages."""

    def __init__(self) -> None:
        self._messages: deque[str | bytes] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self._close: tuple[int, str] | None = None
        self._tell_of_close: Callable[[], None] = lambda: None
        self.close_asked = asyncio.Event()
        """Set by the first `close`."""

    def put(self, message: str | bytes) -> bool:
        """Add a message. False: the outbox was full, and what waited in it is dropped."""
        if self._bytes + len(message) > MAX_BYTES or len(self._messages) >= MAX_MESSAGES:
            self._messages.clear()
            self._bytes = 0
            return False
        self._messages.append(message)
        self._bytes += len(message)
        self._changed.set()
        return True

    def close(self, code: int, reason: str) -> None:
        """Ask the sender to close once it has sent what waits; the first call counts."""
        if self._close is not None:
            return
        self._close = (code, reason)
        self._changed.set()
        self.close_asked.set()
        self._tell_of_close()

    def on_close(self, tell: Callable[[], None]) -> None:
        """Have `tell` called when `close` is, or now if it was."""
        self._tell_of_close = tell
        if self._close is not None:
            tell()

    @property
    def closing(self) -> tuple[int, str] | None:
        """The close code and reason asked for."""
        return self._close

    async def get(self) -> str | bytes | None:
        """Wait for the next message; None when the connection is to be closed."""
        while not self._messages:
            if self._close is not None:
                return None
            self._changed.clear()
            await self._changed.wait()
        message = self._messages.popleft()
        self._bytes -= len(message)
        return message
