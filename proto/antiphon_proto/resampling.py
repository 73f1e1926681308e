"""Streaming resampling with next to no delay: a windowed sinc, evaluated where samples are wanted.

soxr resamples streams in blocks of a Fourier transform, which keeps back 2 to 20 ms of a stream of
20 ms chunks, 11 ms in the middle. Here a sample waits for half of the filter, about 1 ms.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float32]

_ZERO_CROSSINGS = 16
"""Of the sinc on each side: 1 ms at 16 kHz."""
_KAISER_BETA = 8.0
"""80 dB between the wanted sound and what is folded into it."""
_PASSED = 0.92
"""Of the lower rate's band."""
_FEW_PHASES = 3
"""With so few, filtering at every sample and keeping some is faster than gathering."""
_BLOCK = 8_192


class _Filter(NamedTuple):
    up: int
    down: int
    phases: _Floats
    """[up, taps]: the filter for each place between two samples."""

    @property
    def taps(self) -> int:
        taps: int = self.phases.shape[1]
        return taps


@functools.lru_cache(maxsize=16)
def _filter(from_hz: int, to_hz: int) -> _Filter:
    divisor = math.gcd(from_hz, to_hz)
    up, down = to_hz // divisor, from_hz // divisor
    band = _PASSED * min(1.0, to_hz / from_hz)
    half = math.ceil(_ZERO_CROSSINGS * max(1.0, from_hz / to_hz))
    places = np.arange(1 - half, half + 1)[None, :] - np.arange(up)[:, None] / up
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (places / half) ** 2, 0, 1)))
    phases = np.sinc(band * places) * window
    phases /= phases.sum(axis=1, keepdims=True)
    return _Filter(up, down, phases.astype(np.float32))


class SincResampler:
    """One stream of samples, from one rate to another."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._filter = _filter(from_hz, to_hz)
        half = self._filter.taps // 2
        self._held: _Floats = np.zeros(half - 1, dtype=np.float32)
        """Input from the first tap of the next output on."""
        self._phase = 0
        self._owed = 0.0
        self._per_input = to_hz / from_hz
        self._made = 0

    def feed(self, samples: _Floats, *, last: bool = False) -> _Floats:
        """Return what `[samples]` adds to the output; with `last` the tail held back too.

        In all as many samples come out as the rates demand, rounded up.
        """
        self._owed += len(samples) * self._per_input
        ending = [np.zeros(self._filter.taps, dtype=np.float32)] if last else []
        self._held = np.concatenate([self._held, samples, *ending])
        made = self._make()
        if last:
            made = made[: max(0, math.ceil(self._owed - 1e-6) - self._made)]
        self._made += len(made)
        return made

    def _make(self) -> _Floats:
        up, down, phases = self._filter
        room = len(self._held) - self._filter.taps
        if room < 0:
            return np.zeros(0, dtype=np.float32)
        count = (room * up + up - 1 - self._phase) // down + 1
        ticks = self._phase + np.arange(max(count, 0)) * down
        made = np.empty(len(ticks), dtype=np.float32)
        if up <= _FEW_PHASES:
            for place in range(min(up, len(ticks))):
                filtered = np.correlate(self._held, phases[ticks[place] % up])
                made[place::up] = filtered[ticks[place::up] // up]
        else:
            windows = np.lib.stride_tricks.sliding_window_view(self._held, self._filter.taps)
            for start in range(0, len(ticks), _BLOCK):
                block = ticks[start : start + _BLOCK]
                wanted = windows[block // up] * phases[block % up]
                made[start : start + _BLOCK] = wanted.sum(axis=1)
        reached = self._phase + len(ticks) * down
        self._held = self._held[reached // up :].copy()
        self._phase = reached % up
        return made
