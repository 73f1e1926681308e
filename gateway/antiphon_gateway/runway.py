"""How long the listener's audio lasts, and whether the next clause must come early. Pure.

The next clause is there when the model has written it and its synthesis has begun. The latter is
measured in each reply; the former is bounded by cutting early while little audio is ahead.
"""

CHARACTER_MS = 65
"""About the pace of English speech."""

_FIRST_LATENCY_MS = 200.0
_SENTENCE_MS = 700.0
"""Time to write a sentence, with a margin."""
_NEWEST_SHARE = 0.5
_NOTICED_MS = 20.0
"""A shorter gap is the jitter of timers and messages."""


class Runway:
    """What one reply has measured."""

    def __init__(self) -> None:
        self.underruns = 0
        self._latency_ms = _FIRST_LATENCY_MS
        self._ends_ms: float | None = None

    def note_latency(self, latency_ms: float) -> None:
        """Take the time from asking for a clause to its first audio."""
        self._latency_ms += _NEWEST_SHARE * (latency_ms - self._latency_ms)

    def is_short(self, ahead_ms: float) -> bool:
        """Tell whether a whole sentence might come after the audio ahead has been heard."""
        return ahead_ms < _SENTENCE_MS + 2 * self._latency_ms

    def gap_ms(self, now_ms: float) -> float:
        """Return how long the listener has had nothing to hear; 0 before the first audio."""
        gap_ms = 0.0 if self._ends_ms is None else now_ms - self._ends_ms
        return gap_ms if gap_ms > _NOTICED_MS else 0.0

    def note_sent(self, ends_ms: float, gap_ms: float) -> None:
        """Audio was sent that is heard to its end at `ends_ms`, after a gap."""
        self._ends_ms = ends_ms
        self.underruns += gap_ms > 0
