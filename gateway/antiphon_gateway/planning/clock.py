"""Simulated time: events in their order, nothing between them."""

import heapq
from collections.abc import Callable


class Clock:
    """Begins at 0 ms."""

    def __init__(self) -> None:
        self.now_ms = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, delay_ms: float, event: Callable[[], None]) -> None:
        """Have an event; those of one moment happen in the order in which they were asked for."""
        self._count += 1
        heapq.heappush(self._events, (self.now_ms + delay_ms, self._count, event))

    def run(self, until_ms: float) -> None:
        """Let everything happen that is due by then."""
        while self._events and self._events[0][0] <= until_ms:
            self.now_ms, _, event = heapq.heappop(self._events)
            event()
        self.now_ms = until_ms
