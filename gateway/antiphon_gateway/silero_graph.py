"""Silero VAD with its convolutions written as matrix products over the frames of all streams.

ONNX Runtime makes a convolution for each stream by itself, and a window is four frames wide or
fewer. As products over all streams at once the same sums take a third of the time.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper, parser

_Array = npt.NDArray[np.float32]

# `sides` pads the frames of a window with one of zeros before and one behind. The last two
# convolutions see a single frame: of their taps only those that meet it are here.
_GRAPH = """
<ir_version: 8, opset_import: ["": 15]>
vad (float[streams, 576] input, float[2, streams, 128] state)
    => (float[streams, 1] output, float[2, streams, 128] stateN)
<int64[4] tail = {0, 0, 0, 64}, int64[3] blocks = {0, 5, 128}, int64[6] sides = {0, 1, 0, 0, 1, 0},
 int64[2] halves = {129, 129}, int64[2] flat = {0, 768}, int64[1] frames = {1}, int64[1] n0 = {0},
 int64[1] n1 = {1}, int64[1] n2 = {2}, int64[1] n4 = {4}, int64[1] n5 = {5}, int64[1] n6 = {6},
 int64[1] n256 = {256}, int64[1] n384 = {384}, int64[1] n640 = {640}>
{
    padded = Pad <mode = "reflect"> (input, tail)
    hops = Reshape (padded, blocks)
    hop = Slice (hops, n0, n4, frames)
    next_hop = Slice (hops, n1, n5, frames)
    windows = Concat <axis = 2> (hop, next_hop)
    spectrum = MatMul (windows, basis)
    real, imaginary = Split <axis = 2> (spectrum, halves)
    real_square = Mul (real, real)
    imaginary_square = Mul (imaginary, imaginary)
    power = Add (real_square, imaginary_square)
    magnitude = Sqrt (power)
    wide = Pad (magnitude, sides)
    before = Slice (wide, n0, n4, frames)
    at = Slice (wide, n1, n5, frames)
    behind = Slice (wide, n2, n6, frames)
    seen_0 = Concat <axis = 2> (before, at, behind)
    product_0 = MatMul (seen_0, weight_0)
    sum_0 = Add (product_0, bias_0)
    frames_0 = Relu (sum_0)
    wide_0 = Pad (frames_0, sides)
    row = Reshape (wide_0, flat)
    first = Slice (row, n0, n384, frames)
    third = Slice (row, n256, n640, frames)
    sum_first = Gemm (first, weight_1, bias_1)
    sum_third = Gemm (third, weight_1, bias_1)
    sum_1 = Concat <axis = 1> (sum_first, sum_third)
    frames_1 = Relu (sum_1)
    sum_2 = Gemm (frames_1, weight_2, bias_2)
    frame_2 = Relu (sum_2)
    sum_3 = Gemm (frame_2, weight_3, bias_3)
    frame_3 = Relu (sum_3)
    step = Unsqueeze (frame_3, n0)
    hidden, cell = Split <axis = 0> (state)
    every, hidden_next, cell_next =
        LSTM <hidden_size = 128> (step, input_weight, hidden_weight, gate_bias, , hidden, cell)
    stateN = Concat <axis = 0> (hidden_next, cell_next)
    heard = Relu (hidden_next)
    heard_flat = Squeeze (heard, n0)
    logit = Gemm (heard_flat, last_weight, last_bias)
    output = Sigmoid (logit)
}
"""


def regrouped(path: Path) -> bytes:
    """Return the model of a Silero VAD file for 16 kHz, serialized.

    It takes `input` and `state` as in `vad.Model.step` and gives `output` and `stateN`.
    Raises KeyError or ValueError when the file has other weights.
    """
    weights = {
        one.name: numpy_helper.to_array(one) for one in onnx.load(str(path)).graph.initializer
    }
    model = parser.parse_model(_GRAPH)
    for name, array in _initializers(weights).items():
        model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
    serialized: bytes = model.SerializeToString()
    return serialized


def _initializers(weights: dict[str, _Array]) -> dict[str, _Array]:
    def taps(layer: int, first: int, end: int) -> _Array:
        """Weights `[tap, channel in]` to `channel out` of some taps of a convolution."""
        weight = weights[f"model.encoder.{layer}.reparam_conv.weight"]
        return weight[:, :, first:end].transpose(2, 1, 0).reshape(-1, len(weight))

    def gates(name: str) -> _Array:
        """Torch has the gates in the order input, forget, cell, output; ONNX another."""
        into, forget, cell, out = np.split(weights[f"model.decoder.rnn.{name}"], 4)
        return np.concatenate([into, out, forget, cell])

    biases = [weights[f"model.encoder.{layer}.reparam_conv.bias"] for layer in range(4)]
    return {
        "basis": weights["model.stft.forward_basis_buffer"][:, 0].T,
        "weight_0": taps(0, 0, 3),
        "weight_1": taps(1, 0, 3),
        "weight_2": taps(2, 1, 3),
        "weight_3": taps(3, 1, 2),
        **{f"bias_{layer}": bias for layer, bias in enumerate(biases)},
        "input_weight": gates("weight_ih")[None],
        "hidden_weight": gates("weight_hh")[None],
        "gate_bias": np.concatenate([gates("bias_ih"), gates("bias_hh")])[None],
        "last_weight": weights["model.decoder.decoder.2.weight"][0],
        "last_bias": weights["model.decoder.decoder.2.bias"],
    }
