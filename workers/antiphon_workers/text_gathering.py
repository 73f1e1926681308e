"""Text deltas of a fast language model, several in one message. Pure.

A model that writes a word every few milliseconds costs the gateway a message each, and one process
serves many conversations. Nobody hears the difference: the first clause is not held up, and behind
it the voice is slower than the model.
"""

_AT_ONCE = 16
"""Deltas that are sent as they come: the first clause is among them."""
_FAST_MS = 10.0
"""A model that takes longer for a delta is not waited for."""
_TOGETHER_MS = 30.0
"""Between two messages of one that is faster."""


class TextGathering:
    """The text of one job that is held back."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self._count = 0
        self._sent_ms = self._last_ms = 0.0

    def add(self, text: str, now_ms: float) -> str:
        """Take the next delta; return what is to be sent now, which may be nothing."""
        self._count += 1
        fast = now_ms - self._last_ms < _FAST_MS
        self._last_ms = now_ms
        self._held.append(text)
        if self._count > _AT_ONCE and fast and now_ms - self._sent_ms < _TOGETHER_MS:
            return ""
        self._sent_ms = now_ms
        return self.take()

    def take(self) -> str:
        """Return what is held back and hold nothing any more."""
        text = "".join(self._held)
        self._held.clear()
        return text
