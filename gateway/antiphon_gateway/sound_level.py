"""When a voice falls: far below the loudest of the last second. Pure."""

import math
from collections import deque

import numpy as np

_SECOND_SAMPLES = 31 * 512
"""About a second, in whole windows of 32 ms."""
_FALL_DB = 20.0
"""Most speech has fallen so far 64 ms before the detector's end of speech. The other six falls in
3 s of it are pauses between words and the closures of plosives."""


class SoundLevel:
    """The level of one microphone, window by window."""

    def __init__(self) -> None:
        self._levels_db: deque[float] = deque()
        """Of the windows of the last second."""
        self._ends: deque[int] = deque()
        """Where each of them ended."""
        self.fell_at_sample: int | None = None
        """Where the last fall began, while the voice has not risen again."""

    def hear(self, pcm: bytes, sample: int) -> None:
        """Take the PCM16 of the window that ends at `sample`. Windows may be left out."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        power = float(samples @ samples) / max(1, len(samples))
        self._levels_db.append(10 * math.log10(power + 1))
        self._ends.append(sample)
        while self._ends[0] <= sample - _SECOND_SAMPLES:
            self._ends.popleft()
            self._levels_db.popleft()
        if max(self._levels_db) - self._levels_db[-1] < _FALL_DB:
            self.fell_at_sample = None
        elif self.fell_at_sample is None:
            self.fell_at_sample = sample
