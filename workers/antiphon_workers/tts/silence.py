"""Trimming the silence around speech while it streams. Pure."""

from typing import NamedTuple

import numpy as np

from antiphon_proto.audio import Samples

THRESHOLD = 10 ** (-50 / 20)
"""Samples below -50 dBFS are silence."""

_FADE_MS = 5
_EDGE_MS = 8


class _Kept(NamedTuple):
    start: int
    end: int
    place: int


class SilenceTrimmer:
    """Shortens leading and long inner silence of a stream of `[samples] float32`, and gives the
    silence after it a set length.

    Silence is held back until it is known what follows it. Where silence was cut it fades, so that
    pieces can follow each other without a click.
    """

    def __init__(
        self, sample_rate_hz: int, *, lead_ms: int | None, longest_ms: int, trail_ms: int
    ) -> None:
        """Keep `lead_ms` before the first sound, `longest_ms` between two; `trail_ms` follow.

        `lead_ms` None: all that comes before the first sound is kept.
        """
        self._lead = None if lead_ms is None else lead_ms * sample_rate_hz // 1000
        self._longest = longest_ms * sample_rate_hz // 1000
        self._trail = trail_ms * sample_rate_hz // 1000
        self._fade = _FADE_MS * sample_rate_hz // 1000
        self._held: Samples = np.zeros(0, np.float32)
        self._held_from = 0
        self._given = 0
        self._kept: list[_Kept] = []

    def feed(self, samples: Samples) -> Samples:
        """Return what is known to belong to the speech, up to the last sound so far."""
        joined = np.concatenate([self._held, samples])
        loud = np.flatnonzero(np.abs(joined) > THRESHOLD)
        if not loud.size:
            self._held = joined
            return joined[:0]
        first, end = int(loud[0]), int(loud[-1]) + 1
        start, self._held, self._held_from = self._held_from, joined[end:], self._held_from + end
        if not self._kept:
            begin = 0 if self._lead is None else max(first - self._lead, 0)
            return _faded_in(self._keep(start, joined, begin, end), min(first - begin, self._fade))
        # The beginning of a pause holds the decay of the sound before it.
        pause = self._keep(start, joined, 0, min(first, self._longest))
        return np.concatenate([pause, self._keep(start, joined, first, end)])

    def end(self) -> Samples:
        """Return the pause after the last sound; nothing when there was no sound."""
        if not self._kept:
            return self._held[:0]
        tail = self._keep(self._held_from, self._held, 0, min(len(self._held), self._trail))
        self._held_from += len(self._held)
        self._held = self._held[:0]
        self._given += self._trail - len(tail)
        silence = np.zeros(self._trail - len(tail), np.float32)
        return np.concatenate([_faded_out(tail, self._fade), silence])

    def place(self, sample: int) -> int | None:
        """Return where a sample of the stream is in what was returned; None: not yet known.

        A sample that was cut away is where the cut is.
        """
        if sample > self._held_from:
            return None
        kept = next((kept for kept in reversed(self._kept) if kept.start <= sample), None)
        return 0 if kept is None else kept.place + min(sample, kept.end) - kept.start

    def _keep(self, start: int, joined: Samples, first: int, end: int) -> Samples:
        """Note that samples of `joined`, which begins at `start` of the stream, are returned."""
        self._kept.append(_Kept(start + first, start + end, self._given))
        self._given += end - first
        return joined[first:end]


def _faded_in(samples: Samples, count: int) -> Samples:
    faded = samples.copy()
    faded[:count] *= np.linspace(0.0, 1.0, count, endpoint=False, dtype=np.float32)
    return faded


def _faded_out(samples: Samples, count: int) -> Samples:
    count = min(count, len(samples))
    faded = samples.copy()
    faded[len(faded) - count :] *= np.linspace(1.0, 0.0, count, dtype=np.float32)
    return faded


class Edges:
    """Fades the edges of speech that was cut out of a longer stretch, while it streams."""

    def __init__(self, sample_rate_hz: int, *, fade_in: bool, end_sample: int | None) -> None:
        """`end_sample` is where the speech is cut off; None where it ends by itself."""
        self._fade = _EDGE_MS * sample_rate_hz // 1000
        self._fade_in = fade_in
        self._end = end_sample
        self._passed = 0

    def fade(self, samples: Samples) -> Samples:
        """Return the next samples, quieter near a cut."""
        places = np.arange(self._passed, self._passed + len(samples), dtype=np.float32)
        self._passed += len(samples)
        if self._fade_in:
            samples = samples * np.clip(places / self._fade, 0.0, 1.0)
        if self._end is not None:
            samples = samples * np.clip((self._end - 1 - places) / self._fade, 0.0, 1.0)
        return samples
