"""Whisper's encoder over the speech alone, completed with cached states of silence.

Whisper pads every clip to 30 s, and encoding the padding is most of its cost. Its decoder was
trained on the 1,500 encoder positions of those 30 s and goes astray with fewer. So the speech is
encoded with a margin, and the positions behind it are copied from silence encoded once.
"""

from typing import Any

import ctranslate2
import numpy as np

Mel = np.ndarray[Any, np.dtype[np.float32]]
"""[mel bins, frames] float32, 100 frames a second."""

FRAMES_PER_SECOND = 100
POSITIONS = 1_500
"""Encoder positions of 30 s; one for two frames."""
MOST_FRAMES = 2 * POSITIONS
LEAST_FRAMES = 3 * FRAMES_PER_SECOND
_SILENT_MEL = -1.0
_SMALLEST_WIDTH = 384
"""Encoder width of the tiny models, which do with a margin of 1 s; base needs 2 s."""


class SplicedEncoder:
    """Encodes clips shorter than `most_frames`."""

    def __init__(self, model: "ctranslate2.models.Whisper", mel_bins: int) -> None:
        """Encode the silence. Costs as much as one padded clip."""
        self._model = model
        silence = np.full((mel_bins, MOST_FRAMES), _SILENT_MEL, np.float32)
        self._silence = self._states(silence)
        seconds = 1 if self._silence.shape[2] <= _SMALLEST_WIDTH else 2
        self._margin_frames = seconds * FRAMES_PER_SECOND

    @property
    def most_frames(self) -> int:
        """Longest clip that leaves room for its margin."""
        return MOST_FRAMES - self._margin_frames

    def encode(self, mel: Mel) -> "ctranslate2.StorageView":
        """Return the states `[1, 1500, width]` of a clip and the silence after it."""
        frames = max(mel.shape[1] + self._margin_frames, LEAST_FRAMES)
        frames += frames % 2
        # The clip's own minimum is what its silence looks like after Whisper's normalisation.
        padding = ((0, 0), (0, frames - mel.shape[1]))
        window = np.pad(mel, padding, constant_values=float(mel.min()))
        spliced = np.concatenate([self._states(window), self._silence[:, frames // 2 :]], axis=1)
        return ctranslate2.StorageView.from_array(np.ascontiguousarray(spliced))

    def _states(self, mel: Mel) -> "np.ndarray[Any, Any]":
        batch = ctranslate2.StorageView.from_array(np.ascontiguousarray(mel[np.newaxis]))
        return np.array(self._model.encode(batch, to_cpu=True))
