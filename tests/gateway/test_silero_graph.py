"""The regrouped voice activity model says what the file that it is made of says."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from antiphon_gateway.vad import MODEL_FILE, SileroModel
from antiphon_proto import models
from antiphon_proto.audio import pcm16_to_float, read_wav
from antiphon_proto.config import Config

DATA = Path(__file__).parents[1] / "data"
CLIPS = ("what_time_is_it.wav", "lobster_a_la_newberg.wav", "when_churchyards_yawn.wav")


@pytest.mark.models
def test_streams_side_by_side_get_the_probabilities_of_the_file() -> None:
    directory = models.find("silero-vad", Config().models.directory)
    file = onnxruntime.InferenceSession(
        str(directory / MODEL_FILE), providers=["CPUExecutionProvider"]
    )
    regrouped = SileroModel(directory)
    clips = [pcm16_to_float(read_wav(DATA / name)[0]) for name in CLIPS]
    heard = np.stack([np.append(np.zeros(64, np.float32), clip[: 512 * 40]) for clip in clips])
    state = file_state = np.zeros((2, len(clips), 128), np.float32)
    most = 0.0
    for start in range(0, 512 * 40, 512):
        windows = heard[:, start : start + 576]
        probabilities, state = regrouped.step(windows, state)
        expected, file_state = file.run(
            ["output", "stateN"],
            {"input": windows, "state": file_state, "sr": np.array(16_000, np.int64)},
        )
        most = max(most, float(expected.max()))
        assert probabilities == pytest.approx(expected[:, 0], abs=1e-4)
        assert state == pytest.approx(file_state, abs=1e-3)
    assert most > 0.9
