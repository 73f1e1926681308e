"""Pure: the gaps that are heard in replies whose audio arrives too late."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from antiphon.playout_clock import PlayoutClock, Position

JITTER_BUFFER_MS = 60.0
"""What the page usually has of a reply before it plays: its least (`MIN_JITTER_MS`)."""
_LEAST_GAP_MS = 1.0


class Arrival(NamedTuple):
    """Audio of an item. Time stands still while the listener has paused."""

    due_s: float
    """When it was there and the turn of its item had come."""
    duration_s: float


class ArrivalClock(PlayoutClock):
    """A playout clock that remembers when the audio of each item could be played."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals: dict[str, list[Arrival]] = {}
        """By item, in order."""
        self._stood_s = 0.0
        """How long it has paused before."""

    def received(self, item_id: str, duration_s: float, now_s: float) -> None:
        """Take note of audio that has arrived."""
        came_s = self._clock_s(now_s)
        due_s = came_s if item_id in self.arrivals else max(came_s, self.end_s)
        arrival = Arrival(due_s - self._stood_s, duration_s)
        self.arrivals.setdefault(item_id, []).append(arrival)
        super().received(item_id, duration_s, now_s)

    def flush(self, now_s: float) -> Position | None:
        """Play nothing more of what has arrived; return the position if that cut something off."""
        self._stood_s += now_s - self._clock_s(now_s)
        return super().flush(now_s)

    def play_on(self, now_s: float) -> None:
        """Play the rest of what has arrived, from where it paused."""
        self._stood_s += now_s - self._clock_s(now_s)
        super().play_on(now_s)


def gaps_ms(arrivals: Sequence[Arrival], buffer_ms: float = 0.0) -> list[float]:
    """Return the silences within an item for a listener with a jitter buffer.

    As the page does, it begins, and begins again after each gap, when it has more than its buffer
    or when the first of what it has was there for that long.
    """
    gaps: list[float] = []
    end_s: float | None = None
    for index, arrival in enumerate(arrivals):
        if end_s is None or arrival.due_s > end_s:
            start_s = _start_s(arrivals, index, buffer_ms / 1000)
            if end_s is not None:
                gaps.append((start_s - end_s) * 1000)
            end_s = start_s
        end_s += arrival.duration_s
    return [gap for gap in gaps if gap > _LEAST_GAP_MS]


def _start_s(arrivals: Sequence[Arrival], first: int, buffer_s: float) -> float:
    """Return when audio that finds nothing being played is played."""
    latest_s = arrivals[first].due_s + buffer_s
    held_s = 0.0
    for arrival in itertools.islice(arrivals, first, None):
        held_s += arrival.duration_s
        if arrival.due_s >= latest_s or held_s > buffer_s:
            return min(arrival.due_s, latest_s)
    return latest_s
