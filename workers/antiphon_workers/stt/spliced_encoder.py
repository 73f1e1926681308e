"""Whisper's encoder over the speech alone, completed with cached states of silence.

Whisper pads every clip to 30 s, and encoding the padding is most of its cost. Its decoder was
trained on the 1,500 encoder positions of those 30 s and goes astray with fewer. So the speech is
encoded with a margin, and positions of silence, encoded once, are put behind it. What the decoder
needs of these is the end of the window: the tiny models do with the last third.
"""

from typing import Any, NamedTuple

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
"""Encoder width of the tiny models."""
_POSITIONS_PER_MS = 50 / 1_000


class Splice(NamedTuple):
    """How a clip is completed."""

    margin_frames: int
    """Encoded behind the speech."""
    silence_positions: int
    """Copied, at most, from the end of the encoded silence."""


_TINY = Splice(margin_frames=FRAMES_PER_SECOND // 2, silence_positions=500)
_LARGER = Splice(margin_frames=2 * FRAMES_PER_SECOND, silence_positions=POSITIONS)


class SplicedEncoder:
    """Encodes clips shorter than `most_frames`."""

    def __init__(
        self, model: "ctranslate2.models.Whisper", mel_bins: int, silence_ms: int = 0
    ) -> None:
        """Encode the silence. Costs as much as one padded clip.

        `silence_ms`: how much of it is put behind a clip; 0: what the model needs.
        """
        self._model = model
        silence = np.full((mel_bins, MOST_FRAMES), _SILENT_MEL, np.float32)
        self._silence = self._states(silence)
        self._splice = _TINY if self._silence.shape[2] <= _SMALLEST_WIDTH else _LARGER
        if silence_ms:
            positions = min(int(silence_ms * _POSITIONS_PER_MS), POSITIONS)
            self._splice = self._splice._replace(silence_positions=positions)

    @property
    def most_frames(self) -> int:
        """Longest clip that leaves room for its margin."""
        return MOST_FRAMES - self._splice.margin_frames

    def encode(self, *mels: Mel) -> "ctranslate2.StorageView":
        """Return the states `[clips, positions, width]` of clips and the silence after them.

        Clips of one call are encoded as long as the longest.
        """
        frames = max(*(mel.shape[1] for mel in mels), LEAST_FRAMES - self._splice.margin_frames)
        frames += self._splice.margin_frames
        frames += frames % 2
        # A clip's own minimum is what its silence looks like after Whisper's normalisation.
        windows = [
            np.pad(mel, ((0, 0), (0, frames - mel.shape[1])), constant_values=float(mel.min()))
            for mel in mels
        ]
        first_silent = max(frames // 2, POSITIONS - self._splice.silence_positions)
        silence = np.repeat(self._silence[:, first_silent:], len(mels), axis=0)
        spliced = np.concatenate([self._states(*windows), silence], axis=1)
        return ctranslate2.StorageView.from_array(spliced)

    def _states(self, *mels: Mel) -> "np.ndarray[Any, Any]":
        batch = ctranslate2.StorageView.from_array(np.stack(mels))
        states = self._model.encode(batch, to_cpu=True)
        if states.dtype == ctranslate2.DataType.bfloat16:  # numpy has no such type
            states = states.to(ctranslate2.DataType.float32)
        return np.array(states)
