"""How fast a client may send audio: a token bucket, counted in seconds of audio. Pure."""

MAX_PAUSE_S = 15.0
"""Longest time in which nothing is read from a client: less than it may be silent for a ping."""


class AudioAllowance:
    """Fills at `rate` seconds of audio a second, holds `burst_s` of it, and is full at the start.

    So a recording of `burst_s` passes at once, real time passes for ever, and whoever sends faster
    waits until the debt is paid, at most `MAX_PAUSE_S` a message. What one message owes beyond
    that is forgiven: the audio buffer of a session keeps the newest minute of it anyway.
    """

    def __init__(self, rate: float, burst_s: float, now_s: float) -> None:
        """`rate` 0: no limit."""
        self._rate = rate
        self._burst_s = burst_s
        self._level_s = burst_s
        self._filled_s = now_s

    def take(self, audio_s: float, now_s: float) -> float:
        """Count audio that came; return for how many seconds nothing more shall be read."""
        if not self._rate:
            return 0.0
        filled_s = self._level_s + (now_s - self._filled_s) * self._rate
        self._filled_s = now_s
        most_debt_s = MAX_PAUSE_S * self._rate
        self._level_s = max(min(filled_s, self._burst_s) - audio_s, -most_debt_s)
        return max(0.0, -self._level_s / self._rate)
