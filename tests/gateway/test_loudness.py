"""Voice activity by loudness."""

import numpy as np
import pytest

from antiphon_gateway.loudness import LoudnessModel

STATE = np.zeros((2, 1, 128), dtype=np.float32)


@pytest.mark.parametrize(
    ("peak", "is_speech"), [(0.0, False), (0.002, False), (0.1, True), (1.0, True)]
)
def test_what_is_loud_counts_as_speech_and_nothing_else(peak: float, is_speech: bool) -> None:
    window = (peak * np.sin(np.arange(576) / 3)).astype(np.float32)
    probabilities, state = LoudnessModel().step(window[None], STATE)
    assert probabilities.shape == (1,)
    assert probabilities[0] > 0.9 if is_speech else probabilities[0] < 0.1
    assert state is STATE


def test_streams_of_a_batch_are_judged_each_by_itself() -> None:
    quiet, loud = np.zeros(576, dtype=np.float32), np.full(576, 0.5, dtype=np.float32)
    probabilities, _ = LoudnessModel().step(np.stack([quiet, loud, quiet]), STATE)
    assert [bool(probability > 0.5) for probability in probabilities] == [False, True, False]
