"""Pure: a listener that plays what arrives, in order and in real time."""

from collections import deque
from typing import NamedTuple


class Position(NamedTuple):
    """How far a listener is within an item."""

    item_id: str
    played_ms: int
    buffered_ms: int
    """Audio of any item that has arrived and is not played."""


class _Piece(NamedTuple):
    item_id: str
    start_s: float
    end_s: float


class PlayoutClock:
    """Tells what would be audible now. Times are in seconds of one monotonic clock.

    Audio starts to play when it arrives, or when what arrived before it has been played.
    """

    def __init__(self) -> None:
        self._pieces: deque[_Piece] = deque()
        self._item_id = ""
        self._played_s = 0.0
        self._end_s = 0.0
        self._reported_end = True
        self._paused_since_s: float | None = None

    @property
    def end_s(self) -> float:
        """When everything that has arrived will have been played."""
        return self._end_s

    def received(self, item_id: str, duration_s: float, now_s: float) -> None:
        """Take note of audio that has arrived."""
        now_s = self._advance(now_s)
        start_s = max(now_s, self._end_s)
        self._end_s = start_s + duration_s
        self._pieces.append(_Piece(item_id, start_s, self._end_s))
        self._reported_end = False

    def position(self, now_s: float) -> Position | None:
        """Return the item being played, or the last one played; None before the first."""
        now_s = self._advance(now_s)
        item_id, played_s = self._item_id, self._played_s
        if self._pieces and self._pieces[0].start_s <= now_s:
            current = self._pieces[0]
            already_s = played_s if current.item_id == item_id else 0.0
            item_id, played_s = current.item_id, already_s + now_s - current.start_s
        if not item_id:
            return None
        buffered_s = max(0.0, self._end_s - now_s)
        return Position(item_id, round(played_s * 1000), round(buffered_s * 1000))

    def report(self, now_s: float) -> Position | None:
        """Return what to tell the server: the position while playing and once at the end."""
        if self._reported_end:
            return None
        self._reported_end = self._clock_s(now_s) >= self._end_s
        return self.position(now_s)

    def flush(self, now_s: float) -> Position | None:
        """Play nothing more of what has arrived; return the position if that cut something off."""
        position = self.position(now_s)
        cut = self._clock_s(now_s) < self._end_s
        if cut and position:
            self._item_id, self._played_s = position.item_id, position.played_ms / 1000
        self._pieces.clear()
        self._end_s = min(self._end_s, now_s)
        self._reported_end = True
        self._paused_since_s = None
        return position if cut else None

    def pause(self, now_s: float) -> None:
        """Play nothing until `play_on`."""
        self._advance(now_s)
        if self._paused_since_s is None:
            self._paused_since_s = now_s

    def play_on(self, now_s: float) -> None:
        """Play the rest of what has arrived, from where it paused."""
        if self._paused_since_s is None:
            return
        late_s, self._paused_since_s = now_s - self._paused_since_s, None
        self._end_s += late_s
        later = ((item_id, start + late_s, end + late_s) for item_id, start, end in self._pieces)
        self._pieces = deque(map(_Piece._make, later))

    def _clock_s(self, now_s: float) -> float:
        return now_s if self._paused_since_s is None else self._paused_since_s

    def _advance(self, now_s: float) -> float:
        """Forget pieces that have been played; return the time as the listener counts it."""
        now_s = self._clock_s(now_s)
        while self._pieces and self._pieces[0].end_s <= now_s:
            piece = self._pieces.popleft()
            if piece.item_id != self._item_id:
                self._item_id, self._played_s = piece.item_id, 0.0
            self._played_s += piece.end_s - piece.start_s
        return now_s
