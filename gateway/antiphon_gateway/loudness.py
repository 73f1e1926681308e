"""Voice activity without a model: loud is speech. For a server that only tests its plumbing."""

import numpy as np
import numpy.typing as npt

SPEECH_DBFS = -40.0
"""RMS level, in decibels of full scale, at which sound is as likely speech as not."""
_DB_PER_LOGIT = 2.0
_FLOOR = 1e-6

_Array = npt.NDArray[np.float32]


class LoudnessModel:
    """Takes windows as `vad.SileroModel` does; every loud sound counts, also a hum or a cough."""

    def step(self, windows: _Array, state: _Array) -> tuple[_Array, _Array]:
        """Return probabilities `[streams]` of `windows` `[streams, samples]`; `state` is unused."""
        rms = np.sqrt(np.mean(np.square(windows), axis=1))
        excess_db = 20 * np.log10(np.maximum(rms, _FLOOR)) - SPEECH_DBFS
        probabilities = 1 / (1 + np.exp(-excess_db / _DB_PER_LOGIT))
        return probabilities.astype(np.float32), state
