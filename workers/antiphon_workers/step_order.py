"""Which of a worker's jobs make the next steps: a few at a time, those that are due first."""

import asyncio
import heapq
from itertools import count


class StepOrder:
    """A semaphore whose next holder is the one with the earliest time (earliest deadline first).

    Jobs that all step side by side would share the cores evenly, and speech that is wanted now
    would come as late as speech that is wanted in some seconds.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._arrivals = count()

    async def acquire(self, due_s: float) -> None:
        """Get a place, after those with an earlier `due_s` and, of equals, who came before.

        Whoever is cancelled while waiting does not get it.
        """
        if self._free:
            self._free -= 1
            return
        mine = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (due_s, next(self._arrivals), mine))
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Give a place to the next one, as soon as all that goes on now waits for something.

        So whoever had it and wants it again at once is compared with those who wait already.
        """
        asyncio.get_running_loop().call_soon(self._pass_on)

    def _pass_on(self) -> None:
        while self._waiting:
            _, _, following = heapq.heappop(self._waiting)
            if not following.done():
                following.set_result(None)
                return
        self._free += 1
