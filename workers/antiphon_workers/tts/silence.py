"""Trimming the silence around speech while it streams. Pure."""

import numpy as np

from antiphon_proto.audio import Samples

THRESHOLD = 10 ** (-50 / 20)
"""Samples below -50 dBFS are silence."""


class SilenceTrimmer:
    """Shortens leading, trailing and long inner silence of a stream of `[samples] float32`.

    Silence is held back until it is known what follows it.
    """

    def __init__(
        self, sample_rate_hz: int, *, lead_ms: int, longest_ms: int, trail_ms: int
    ) -> None:
        """Keep `lead_ms` before the first sound, `longest_ms` between two, `trail_ms` after."""
        self._lead = lead_ms * sample_rate_hz // 1000
        self._longest = longest_ms * sample_rate_hz // 1000
        self._trail = trail_ms * sample_rate_hz // 1000
        self._held: Samples = np.zeros(0, np.float32)
        self._started = False

    def feed(self, samples: Samples) -> Samples:
        """Return what is known to belong to the speech, up to the last sound so far."""
        joined = np.concatenate([self._held, samples])
        loud = np.flatnonzero(np.abs(joined) > THRESHOLD)
        if not loud.size:
            self._held = joined
            return joined[:0]
        first, end = int(loud[0]), int(loud[-1]) + 1
        self._held = joined[end:]
        inner, self._started = self._started, True
        if not inner:
            return joined[max(first - self._lead, 0) : end]
        # The beginning of a pause holds the decay of the sound before it.
        return np.concatenate([joined[: min(first, self._longest)], joined[first:end]])

    def end(self) -> Samples:
        """Return the pause after the last sound; nothing when there was no sound."""
        tail = self._held[: self._trail] if self._started else self._held[:0]
        self._held = self._held[:0]
        return tail
