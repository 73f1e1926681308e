"""Fits the weights of the end-of-turn score: logistic regression, ends against pauses."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from antiphon_gateway.turn_end import WEIGHTS, Evidence, features
from bench.endpoint_rules import Example

_RIDGE = 1.0
_STEPS = 40
_LEAST_PAUSE_MS = 200
_HEARD_MS = 128
"""The soundings that count."""


def fit(examples: Sequence[Example]) -> dict[str, float]:
    """Return the weights that tell ends from pauses of 200 ms and more; both count the same."""
    rows, ends = [], []
    for example in examples:
        for pause, known in example.pauses:
            if pause.length_ms < _LEAST_PAUSE_MS:
                continue
            heard = tuple(one for one in known.soundings if one.silence_ms <= _HEARD_MS)
            evidence = Evidence(
                heard,
                known.transcript,
                known.confidence,
                known.message_end,
                phrase_end=known.phrase_end,
            )
            rows.append(list(features(evidence).values()))
            ends.append(pause.is_end)
    weights = _logistic(np.array(rows), np.array(ends, dtype=np.float64))
    return dict(zip(WEIGHTS, (float(one) for one in weights), strict=True))


def _logistic(
    rows: npt.NDArray[np.float64], ends: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the weights by Newton's method, with a ridge on all but the prior."""
    share = np.where(ends > 0, ends.mean(), 1 - ends.mean())
    importance = 0.5 / share
    ridge = np.eye(rows.shape[1]) * _RIDGE
    ridge[0, 0] = 1e-6
    weights = np.zeros(rows.shape[1])
    for _ in range(_STEPS):
        probability = 1 / (1 + np.exp(-rows @ weights))
        gradient = rows.T @ (importance * (ends - probability)) - ridge @ weights
        curvature = importance * probability * (1 - probability)
        weights = weights + np.linalg.solve((rows.T * curvature) @ rows + ridge, gradient)
    return weights
