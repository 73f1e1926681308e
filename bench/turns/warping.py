"""Pure: matches a recording to another recording of the same words in the same voice.

Dynamic time warping over cepstra (Sakoe & Chiba 1978), open at the end of the reference.
"""

import math

import numpy as np
import numpy.typing as npt

from antiphon_proto.audio import Samples
from bench.turns.sound import RATE_HZ

HOP_MS = 10.0
HOP = RATE_HZ // 100
_WINDOW = RATE_HZ // 40
_FFT = 512
_BANDS = 40
_CEPSTRA = 13
_LOWEST_HZ = 80.0
_MAX_STEP = 3
_STEP_PENALTY = (0.15, 0.0, 0.15, 0.3)
"""Cost of going through 0, 1, 2, 3 frames of the reference in one frame of the recording."""

Matrix = npt.NDArray[np.float32]


def matched(samples: Samples, reference: Samples) -> npt.NDArray[np.int64]:
    """Return for each 10 ms of `samples` the 10 ms of the reference that it matches.

    Both are `[samples] float32` at 16 kHz. The recording may end in the middle of the reference.
    """
    recording, model = _features(samples), _features(reference)
    cost = np.sqrt(
        np.maximum(
            (recording**2).sum(1)[:, None] + (model**2).sum(1)[None] - 2 * recording @ model.T, 0
        )
    )
    cost /= cost.mean()
    total = np.full(len(model) + _MAX_STEP, np.inf, np.float32)
    total[_MAX_STEP] = 0.0
    steps = np.zeros(cost.shape, np.int8)
    for row, costs in enumerate(cost):
        ways = np.stack(
            [
                total[_MAX_STEP - step : len(total) - step] + _STEP_PENALTY[step]
                for step in range(_MAX_STEP + 1)
            ]
        )
        steps[row] = ways.argmin(0)
        total[_MAX_STEP:] = ways.min(0) + costs
    return _traced(steps, int(total[_MAX_STEP:].argmin()))


def _traced(steps: npt.NDArray[np.int8], end: int) -> npt.NDArray[np.int64]:
    path = np.zeros(len(steps), np.int64)
    for row in range(len(steps) - 1, -1, -1):
        path[row] = end
        end -= int(steps[row, end])
    return path


def _features(samples: Samples) -> Matrix:
    """Return `[frames, 14] float32`: energy and cepstra of each 10 ms, each of unit variance."""
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW))
    count = max(1, len(samples) // HOP)
    places = np.arange(count)[:, None] * HOP + np.arange(_WINDOW)[None]
    spectrum = np.abs(np.fft.rfft(padded[places] * np.hanning(_WINDOW), _FFT)) ** 2
    mel = np.log(spectrum @ _filters().T + 1e-6)
    order = np.arange(_CEPSTRA)[:, None] * (np.arange(_BANDS) + 0.5)[None]
    cepstra = mel @ np.cos(np.pi / _BANDS * order).T
    features = (cepstra - cepstra.mean(0)) / (cepstra.std(0) + 1e-6)
    slope = np.gradient(features, axis=0) if count > 1 else np.zeros_like(features)
    return np.hstack([features, slope]).astype(np.float32)


def _filters() -> Matrix:
    """Return `[bands, bins] float32`: triangles at equal distances on the mel scale."""
    low_mel, high_mel = (2595 * math.log10(1 + hz / 700) for hz in (_LOWEST_HZ, RATE_HZ / 2))
    edges = 700 * (10 ** (np.linspace(low_mel, high_mel, _BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(_FFT, 1 / RATE_HZ)[None]
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    filters: Matrix = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    return filters
