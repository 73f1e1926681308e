"""The pitch of speech around a moment, by autocorrelation. Pure."""

import math

import numpy as np

from antiphon_proto.audio import Samples

_LOWEST_HZ, _HIGHEST_HZ = 60, 320
_FRAME_S, _STEP_S = 0.04, 0.01
_AROUND_S = 0.3
_VOICED = 0.5
"""Least autocorrelation of a voiced frame."""
_LOUD = 0.05
"""Least share of the loudest frame's amplitude."""

Place = tuple[Samples, int, int]
"""Samples, their rate in hertz and a place among them."""


def semitones_apart(one: Place, other: Place, *, after: bool) -> float | None:
    """Return how far the pitch before, or after, two places differs; None: one is not voiced."""
    pitches = [_pitch_hz(*place, after=after) for place in (one, other)]
    if pitches[0] is None or pitches[1] is None:
        return None
    return abs(12 * math.log2(pitches[0] / pitches[1]))


def _pitch_hz(samples: Samples, rate_hz: int, place: int, *, after: bool) -> float | None:
    """Return the median pitch of the voiced frames within 0.3 s."""
    around = int(_AROUND_S * rate_hz)
    start, end = (place, place + around) if after else (place - around, place)
    frame, step = int(_FRAME_S * rate_hz), int(_STEP_S * rate_hz)
    least = _LOUD * float(np.abs(samples).max(initial=0.0))
    found = []
    for at in range(max(start, 0), min(end, len(samples)) - frame, step):
        piece = samples[at : at + frame]
        if np.abs(piece).max() < least:
            continue
        pitch_hz = _of_frame(piece - piece.mean(), rate_hz)
        found += [] if pitch_hz is None else [pitch_hz]
    return float(np.median(found)) if found else None


def _of_frame(frame: Samples, rate_hz: int) -> float | None:
    likeness = np.correlate(frame, frame, "full")[len(frame) - 1 :]
    shortest, longest = rate_hz // _HIGHEST_HZ, min(rate_hz // _LOWEST_HZ, len(frame) - 1)
    # The overlap shrinks with the lag.
    scaled = likeness[shortest:longest] / (1 - np.arange(shortest, longest) / len(frame))
    best = int(np.argmax(scaled))
    return rate_hz / (shortest + best) if scaled[best] >= _VOICED * likeness[0] else None
