"""Tells when nothing has happened for a while."""

import asyncio
from collections.abc import Callable


class IdleTimer:
    """Calls back when it was not touched for so long; goes on when it is touched again.

    A touch only notes the time: one timer runs at a time, however often it is touched.
    """

    def __init__(self, timeout_s: float, call: Callable[[], None]) -> None:
        """Start it on the running event loop; `timeout_s` 0: it never calls."""
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._call = call
        self._touched_s = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._arm()

    def touch(self) -> None:
        """Note that something happened."""
        self._touched_s = self._loop.time()
        if self._timer is None:
            self._arm()

    def stop(self) -> None:
        """Call no more."""
        self._timeout_s = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timeout_s:
            self._timer = self._loop.call_at(self._touched_s + self._timeout_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._loop.time() < self._touched_s + self._timeout_s:
            self._arm()
        else:
            self._call()
