"""Smart Turn: how probable it is, by the sound alone, that a speaker has finished."""

from pathlib import Path

import numpy as np
import onnxruntime

from antiphon_proto.audio import Samples
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ
from antiphon_workers.stt.log_mel import FRAME_SAMPLES, log_mel

HEARD_SAMPLES = 8 * STT_SAMPLE_RATE_HZ
"""The model sees the last 8 s."""
MODEL_FILE = "smart-turn-v3.2-cpu.onnx"
_INPUT = "input_features"
_INPUT_SHAPE = [80, HEARD_SAMPLES // FRAME_SAMPLES]
_LEAST_VARIANCE = 1e-7


class SmartTurn:
    """Smart Turn v3.2 on one thread of the CPU. May be called from several threads."""

    def __init__(self, path: Path) -> None:
        """Load the model from its file, or from a directory that holds `MODEL_FILE`.

        Raises StartupError when it is not a Smart Turn model.
        """
        path = path / MODEL_FILE if path.is_dir() else path
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:  # onnxruntime's errors share no public base class
            raise StartupError(
                f"cannot load the end-of-turn model {path}: {exc}; "
                "run: antiphon models pull smart-turn"
            ) from exc
        shapes = {node.name: list(node.shape[1:]) for node in self._session.get_inputs()}
        if shapes != {_INPUT: _INPUT_SHAPE}:
            raise StartupError(
                f"{path} has the inputs {shapes}, not {_INPUT} {_INPUT_SHAPE} of Smart Turn v3; "
                "run: antiphon models pull smart-turn"
            )

    def probability(self, audio: Samples) -> float:
        """Return the probability 0..1 that the speaker of `[samples] float32` at 16 kHz is done."""
        features = log_mel(_levelled(audio))
        [[[probability]]] = self._session.run(None, {_INPUT: features[np.newaxis]})
        return float(probability)


def _levelled(audio: Samples) -> Samples:
    """Return the newest 8 s with silence before what is shorter, at mean 0 and variance 1."""
    newest = audio[-HEARD_SAMPLES:]
    heard = np.pad(newest, (HEARD_SAMPLES - len(newest), 0))
    spread = np.sqrt(heard.var() + np.float32(_LEAST_VARIANCE))
    levelled: Samples = (heard - heard.mean()) / spread
    return levelled
