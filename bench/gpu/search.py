"""Pure: how many conversations a card carries, found in few steps, and when each speaks."""

import random

TURN_S = 8.0
"""From one turn of a conversation to its next, as in bench.sessions."""
_NEAR = 0.1
"""Share by which the highest count that held and the lowest that did not may lie apart."""


class Search:
    """Looks for the largest count that holds: doubles until one does not, then halves the gap."""

    def __init__(self, first: int, most: int) -> None:
        self.held = 0
        """The largest count that held so far."""
        self.failed: int | None = None
        """The smallest that did not."""
        self._first = first
        self._most = most

    @property
    def next(self) -> int | None:
        """What to try; None when it is known well enough."""
        if self.failed is None:
            if self.held >= self._most:
                return None
            return min(2 * self.held or self._first, self._most)
        gap = self.failed - self.held
        if gap <= max(1.0, _NEAR * self.held):
            return None
        return self.held + gap // 2

    def tell(self, count: int, *, held: bool) -> None:
        """Note what a try brought."""
        if held:
            self.held = max(self.held, count)
        else:
            self.failed = min(self.failed or count, count)


def turns_s(conversations: int, seconds: float, seed: int) -> list[list[float]]:
    """Return of each conversation when its turns begin: one in `TURN_S`, each at a time of its own.

    A conversation whose first turn lies behind the end has none.
    """
    chance = random.Random(seed)
    firsts = [chance.uniform(0, TURN_S) for _ in range(conversations)]
    return [[first + TURN_S * turn for turn in range(_turns(first, seconds))] for first in firsts]


def _turns(first_s: float, seconds: float) -> int:
    return max(0, int((seconds - first_s) // TURN_S) + 1) if first_s < seconds else 0
