"""Stopping without cutting anybody off: who may finish, and for how long."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Collection
from typing import Protocol

CLOSE_TIMEOUT_S = 2.0
"""How long clients may take to answer the close code."""
_POLL_S = 0.05


class Drainable(Protocol):
    """What is known of a session that is to be closed."""

    closed: asyncio.Event

    @property
    def in_turn(self) -> bool:
        """Whether the session's user speaks, waits for an answer or hears one."""

    def leave_soon(self) -> None:
        """Begin no further turn: a client that asks again at once would never be through."""

    def shut_down(self) -> None:
        """Close it with a code on which clients come back; may be called again."""


class StopSignals:
    """SIGTERM and SIGINT: the first asks to stop in good order, the second to stop now."""

    def __init__(self) -> None:
        """Take the signals over on the running event loop."""
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._note)

    def _note(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


async def drain(
    sessions: Collection[Drainable],
    patience_s: float,
    hurry: asyncio.Event,
    open_requests: Callable[[], int] = lambda: 0,
) -> None:
    """Close every session, at once or when its turn is over, and wait for the open requests.

    All sessions that are left are closed after `patience_s` or when `hurry` is set. Returns when
    all are closed, or `CLOSE_TIMEOUT_S` after the last close code was sent; requests that are open
    then are for the caller to cut off.
    """
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + patience_s
    for session in sessions:
        session.leave_soon()
    while loop.time() < deadline_s and not hurry.is_set():
        busy = [session for session in sessions if session.in_turn and not session.closed.is_set()]
        for session in sessions:
            if session not in busy:
                session.shut_down()
        if not busy and not open_requests():
            break
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLL_S):
                await hurry.wait()
    left = list(sessions)
    for session in left:
        session.shut_down()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await asyncio.gather(*(session.closed.wait() for session in left))
