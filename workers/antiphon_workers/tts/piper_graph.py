"""Surgery on a VITS export: seeded noise, and a cut in front of the waveform decoder.

VITS (Kim et al. 2021) draws noise inside the graph and ends in a HiFi-GAN decoder (Kong et al.
2020), a stack of convolutions that sees only a few frames around each frame it renders.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx.utils
from onnx import helper, numpy_helper

LATENT = "latent"
_INPUTS = {"input", "input_lengths", "scales"}
_NOISE_CHANNELS = 256
_NOISE_FRAMES = 2_048
_SEED = 20_211


class CutModel(NamedTuple):
    """The two halves of a voice, as serialized ONNX models."""

    encoder: bytes
    """The model's inputs to `LATENT`: `[1, channels, frames] float32`."""
    decoder: bytes
    """`LATENT` to the waveform."""


class NotCuttable(Exception):
    """Raised when a model is not a VITS export with one tensor between its halves."""


def load_seeded(path: Path) -> onnx.ModelProto:
    """Return the model of a file with every noise source replaced by a fixed table of noise.

    The same phonemes then give the same samples in every process.
    Raises ValueError when the file is not a VITS export.
    """
    try:
        onnx.checker.check_model(str(path))
    except onnx.checker.ValidationError as exc:
        raise ValueError("not a valid ONNX file") from exc
    model = onnx.load(str(path))
    missing = _INPUTS - {tensor.name for tensor in model.graph.input}
    if missing:
        raise ValueError(f"no input named {', '.join(sorted(missing))}")
    generator = np.random.default_rng(_SEED)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type == "RandomNormalLike":
            nodes.extend(_seeded_noise(model.graph, node, generator))
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def cut(model: onnx.ModelProto) -> CutModel:
    """Return the model cut in front of its waveform decoder.

    Raises NotCuttable when there is no such place.
    """
    producers = {name: node for node in model.graph.node for name in node.output}
    latent = _decoder_input(model.graph, producers)
    output = model.graph.output[0].name
    for node in model.graph.node:
        node.input[:] = [LATENT if name == latent else name for name in node.input]
        node.output[:] = [LATENT if name == latent else name for name in node.output]
    model.graph.value_info.append(
        helper.make_tensor_value_info(LATENT, onnx.TensorProto.FLOAT, [1, None, None])
    )
    inputs = [tensor.name for tensor in model.graph.input]
    extractor = onnx.utils.Extractor(model)
    try:
        encoder = extractor.extract_model(inputs, [LATENT])
        decoder = extractor.extract_model([LATENT], [output])
        onnx.checker.check_model(decoder)
    except (ValueError, KeyError, onnx.checker.ValidationError) as exc:
        raise NotCuttable(f"the graph does not fall apart at its decoder: {exc}") from exc
    return CutModel(encoder.SerializeToString(), decoder.SerializeToString())


def _decoder_input(graph: onnx.GraphProto, producers: dict[str, onnx.NodeProto]) -> str:
    """Return the tensor that enters the decoder: the input of the convolution that comes before
    the first transposed one.
    """
    node = next((node for node in graph.node if node.op_type == "ConvTranspose"), None)
    while node is not None and node.op_type != "Conv":
        node = producers.get(node.input[0])
    if node is None:
        raise NotCuttable("the graph has no transposed convolution behind a convolution")
    return str(node.input[0])


def _seeded_noise(
    graph: onnx.GraphProto, node: onnx.NodeProto, generator: np.random.Generator
) -> list[onnx.NodeProto]:
    """Return nodes that give `node`'s output the shape `[1, channels, frames]` of its input,
    filled from a table that repeats after `_NOISE_FRAMES`.
    """
    name = node.output[0]
    table = generator.standard_normal((1, _NOISE_CHANNELS, _NOISE_FRAMES), np.float32)
    constants: dict[str, np.ndarray[Any, Any]] = {
        "table": table,
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "two": np.array(2, np.int64),
        "period": np.array(_NOISE_FRAMES, np.int64),
    }
    for key, array in constants.items():
        graph.initializer.append(numpy_helper.from_array(array, f"{name}.{key}"))

    def make(kind: str, inputs: list[str], output: str, axis: int | None = None) -> onnx.NodeProto:
        names = [f"{name}.{key}" for key in inputs]
        node = helper.make_node(kind, names, [output], name=f"{output}.{kind}")
        if axis is not None:
            node.attribute.append(helper.make_attribute("axis", axis))
        return node

    shape = helper.make_node("Shape", [node.input[0]], [f"{name}.shape"], name=f"{name}.Shape")
    return [
        shape,
        make("Gather", ["shape", "one"], f"{name}.channels"),
        make("Gather", ["shape", "two"], f"{name}.frames"),
        make("Range", ["zero", "channels", "one"], f"{name}.rows"),
        make("Range", ["zero", "frames", "one"], f"{name}.all_columns"),
        make("Mod", ["all_columns", "period"], f"{name}.columns"),
        make("Gather", ["table", "rows"], f"{name}.chosen", axis=1),
        make("Gather", ["chosen", "columns"], name, axis=2),
    ]
