"""Lets the jobs of one session run one after the other.

A conversation is in the cache of one slot. A job that begins while another of its session still
occupies that slot would get a different one and read the whole conversation again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

PATIENCE_S = 2.0
"""How long a job waits for the one before: that one is cancelled, or about to end."""


class SessionOrder:
    """The jobs that run or wait, by session."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}

    @property
    def sessions(self) -> set[str]:
        """The sessions that have a job here."""
        return set(self._users)

    @contextlib.asynccontextmanager
    async def turn(self, session_id: str) -> AsyncIterator[None]:
        """Hold the session's turn; wait for it, but not for longer than `PATIENCE_S`."""
        lock = self._locks.setdefault(session_id, asyncio.Lock())
        self._users[session_id] = self._users.get(session_id, 0) + 1
        held = False
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    held = await lock.acquire()
            yield
        finally:
            if held:
                lock.release()
            self._users[session_id] -= 1
            if not self._users[session_id]:
                del self._users[session_id], self._locks[session_id]
