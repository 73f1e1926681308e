"""How fast a client may send: token buckets, of seconds of audio and of other messages. Pure."""

MAX_PAUSE_S = 15.0
"""Longest time in which nothing is read from a client after one message."""

_LEAST_AUDIO_S = 0.002
"""Audio is metered as audio, whatever the pieces it comes in, down to the 128 samples at 48 kHz
that a browser makes at a time. A message with less does not pay by its audio."""
_BINARY = 0.1
"""Of a compressed stream 50 chunks a second are usual, of other binary messages none."""
_SIZE_OF_ONE = 64 * 1024
"""A long message costs as many as it has of these: what it costs the server grows with its size."""


class Allowance:
    """Fills at `rate` units a second, holds `burst` of them, and is full at the start.

    So a recording of a burst passes at once, real time passes for ever, and whoever sends faster
    waits until the debt is paid, at most `MAX_PAUSE_S` a message. What one message owes beyond
    that is forgiven: the audio buffer of a session keeps the newest minute of it anyway.
    """

    def __init__(self, rate: float, burst: float, now_s: float) -> None:
        """`rate` 0: no limit."""
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._filled_s = now_s

    def take(self, amount: float, now_s: float) -> float:
        """Count what came; return for how many seconds nothing more shall be read."""
        if not self._rate:
            return 0.0
        filled = self._level + (now_s - self._filled_s) * self._rate
        self._filled_s = now_s
        most_debt = MAX_PAUSE_S * self._rate
        self._level = max(min(filled, self._burst) - amount, -most_debt)
        return max(0.0, -self._level / self._rate)


def messages_in(message: str | bytes, audio_s: float) -> float:
    """Return how many messages without audio one with so much audio counts as."""
    if audio_s >= _LEAST_AUDIO_S:
        return 0.0
    return _BINARY if isinstance(message, bytes) else 1.0 + len(message) // _SIZE_OF_ONE
