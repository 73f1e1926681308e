"""How fast sessions are let in after a stage was too busy. Pure.

A session shows what it costs only some time after it was let in. Whoever was refused comes back as
soon as others do, so for a while no more are let in than there are free slots to serve them.
"""

from collections import deque
from collections.abc import Mapping

from antiphon_proto.messages import Stage

CAUTION_MS = 30_000
"""How long after a refusal newcomers are counted."""
UNPROVEN_MS = 5_000
"""How long a session counts as a newcomer: a few turns of one that talks without a pause."""


class Newcomers:
    """The sessions let in lately."""

    def __init__(self) -> None:
        self._entered_ms: deque[int] = deque()
        self._cautious_until_ms = 0

    def entered(self, now_ms: int) -> None:
        """A session was let in."""
        self._entered_ms.append(now_ms)
        self._forget(now_ms)

    def refused(self, now_ms: int) -> None:
        """A stage is too busy."""
        self._cautious_until_ms = now_ms + CAUTION_MS

    def crowded(self, free_slots: Mapping[Stage, int], now_ms: int) -> frozenset[Stage]:
        """Return the stages that the newcomers may fill by themselves."""
        if now_ms >= self._cautious_until_ms:
            return frozenset()
        self._forget(now_ms)
        newcomers = len(self._entered_ms)
        return frozenset(stage for stage, free in free_slots.items() if newcomers >= free)

    def kept_out(self, now_ms: int) -> None:
        """Somebody was not let in. While there are newcomers the caution goes on from here.

        Else all who still ask would be let in at once when the time is over.
        """
        self._forget(now_ms)
        if self._entered_ms:
            self.refused(now_ms)

    def _forget(self, now_ms: int) -> None:
        while self._entered_ms and now_ms - self._entered_ms[0] > UNPROVEN_MS:
            self._entered_ms.popleft()
