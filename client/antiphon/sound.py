"""Pure: where sound begins and ends in PCM16 audio."""

import numpy as np

from antiphon_proto.audio import pcm16_to_float

AUDIBLE_DBFS = -45.0
"""A sample above this level is audible."""

_WINDOWS_PER_S = 100
_ABOVE_FLOOR_DB = 12.0
_BELOW_SPEECH_DB = 30.0
_MIN_SPEECH_WINDOWS = 12
_MAX_GAP_WINDOWS = 10


def first_audible_sample(pcm: bytes) -> int | None:
    """Return the index of the first sample above `AUDIBLE_DBFS`, None when there is none."""
    loud = np.flatnonzero(np.abs(pcm16_to_float(pcm)) > 10 ** (AUDIBLE_DBFS / 20))
    return int(loud[0]) if len(loud) else None


def speech_end_ms(pcm: bytes, sample_rate_hz: int) -> float | None:
    """Return where the last sound that stands out of the noise ends; None for pure silence.

    The level is taken every 10 ms. Sound stands out when it is 12 dB above the noise floor (the
    10th percentile of the levels) and at most 30 dB below loud speech (the 95th); clicks shorter
    than 120 ms do not count.
    """
    size = sample_rate_hz // _WINDOWS_PER_S
    samples = pcm16_to_float(pcm)
    count = len(samples) // size
    if not count or not samples.any():
        return None
    power = np.mean(samples[: count * size].reshape(count, size) ** 2, axis=1)
    levels = 10 * np.log10(power + 1e-10)
    floor, speech = np.percentile(levels, (10, 95))
    threshold = max(floor + _ABOVE_FLOOR_DB, speech - _BELOW_SPEECH_DB)
    loud = np.flatnonzero(levels > threshold)
    if not len(loud):
        return len(samples) * 1000 / sample_rate_hz
    runs = np.split(loud, np.flatnonzero(np.diff(loud) > _MAX_GAP_WINDOWS) + 1)
    spoken = [run for run in runs if len(run) >= _MIN_SPEECH_WINDOWS] or runs
    return float(spoken[-1][-1] + 1) * 1000 * size / sample_rate_hz
