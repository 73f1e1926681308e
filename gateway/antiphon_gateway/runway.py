"""How long the listener's audio lasts, and whether the next clause must come early. Pure.

The next clause is there when the model has written it and its synthesis has begun. The latter is
measured in each reply; the former is bounded by cutting early while little audio is ahead. A voice
slower than the listener, as on a busy machine, eats up what is ahead while a clause is made.
"""

CHARACTER_MS = 65
"""About the pace of English speech."""

_FIRST_LATENCY_MS = 200.0
_SENTENCE_MS = 700.0
"""Time to write a sentence, with a margin."""
_SENTENCE_SPEECH_MS = 4_000.0
"""How long a sentence is spoken; of a slower voice so much more must be ahead when it begins."""
_TELLING_MS = 500.0
"""Shorter audio says little about the pace of its making."""
_NEWEST_SHARE = 0.5
_NOTICED_MS = 20.0
"""A shorter gap is the jitter of timers and messages."""


class Runway:
    """What one reply has measured."""

    def __init__(self) -> None:
        self.underruns = 0
        self._latency_ms = _FIRST_LATENCY_MS
        self._real_time_factor = 0.0
        self._ends_ms: float | None = None

    def note_latency(self, latency_ms: float) -> None:
        """Take the time from asking for a clause to its first audio."""
        self._latency_ms += _NEWEST_SHARE * (latency_ms - self._latency_ms)

    def note_pace(self, took_ms: float, audio_ms: float) -> None:
        """Take how long the audio behind the first piece of a clause took to be made."""
        if audio_ms >= _TELLING_MS:
            factor = took_ms / audio_ms
            share = _NEWEST_SHARE if self._real_time_factor else 1.0
            self._real_time_factor += share * (factor - self._real_time_factor)

    def is_short(self, ahead_ms: float) -> bool:
        """Tell whether a whole sentence might come after the audio ahead has been heard."""
        return ahead_ms < _SENTENCE_MS + self._making_ms

    def patience_ms(self, ahead_ms: float) -> int:
        """Return how long a clause that is asked for now may wait for a voice."""
        return round(max(0.0, ahead_ms - self._making_ms))

    @property
    def _making_ms(self) -> float:
        """What must be ahead of a listener while a clause is made, with a margin."""
        lost_ms = max(0.0, self._real_time_factor - 1) * _SENTENCE_SPEECH_MS
        return 2 * self._latency_ms + lost_ms

    def gap_ms(self, now_ms: float) -> float:
        """Return how long the listener has had nothing to hear; 0 before the first audio."""
        gap_ms = 0.0 if self._ends_ms is None else now_ms - self._ends_ms
        return gap_ms if gap_ms > _NOTICED_MS else 0.0

    def note_sent(self, ends_ms: float, gap_ms: float) -> None:
        """Audio was sent that is heard to its end at `ends_ms`, after a gap."""
        self._ends_ms = ends_ms
        self.underruns += gap_ms > 0
