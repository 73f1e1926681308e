"""Surgery on a VITS export: seeded noise, and cuts in front of its flow and its waveform decoder.

VITS (Kim et al. 2021) draws noise inside the graph, shapes it with a normalizing flow and ends in a
HiFi-GAN decoder (Kong et al. 2020). Flow and decoder are stacks of convolutions that see only a few
frames around each frame they make.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx.utils
from onnx import helper, numpy_helper

LATENT = "latent"
PRIOR = "prior"
MASK = "mask"
DURATIONS = "durations"
_INPUTS = {"input", "input_lengths", "scales"}
_NOISE_CHANNELS = 256
_NOISE_FRAMES = 2_048
_SEED = 20_211
_TABLE = ".table"


class CutModel(NamedTuple):
    """The parts of a voice, as serialized ONNX models."""

    encoder: bytes
    """The model's inputs to `PRIOR` and `MASK`, or to `LATENT` where there is no `flow`; with
    `DURATIONS` where the model computes them."""
    flow: bytes | None
    """`PRIOR` `[1, channels, frames] float32` and `MASK` `[1, 1, frames]` to `LATENT`."""
    decoder: bytes
    """`LATENT` `[1, channels, frames] float32` to the waveform."""


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


def name_durations(model: onnx.ModelProto) -> bool:
    """Name the tensor of frames per input id `DURATIONS` and make it an output, if it is found."""
    found = [node.output[0] for node in model.graph.node if node.op_type == "Ceil"]
    if len(found) != 1:
        return False
    _rename(model.graph, {found[0]: DURATIONS})
    model.graph.output.append(_tensor(DURATIONS))
    return True


def cut(model: onnx.ModelProto) -> CutModel:
    """Return the model cut in front of its waveform decoder and, if possible, of its flow.

    Raises NotCuttable when there is no place for the former.
    """
    graph = model.graph
    outputs = [tensor.name for tensor in graph.output]
    producers = {name: node for node in graph.node for name in node.output}
    latent = _decoder_input(graph, producers)
    names = {latent: LATENT, **_flow_inputs(graph, latent)}
    _rename(graph, names)
    graph.value_info.extend(_tensor(name) for name in names.values())
    inputs = [tensor.name for tensor in graph.input]
    ends = [PRIOR, MASK] if PRIOR in names.values() else [LATENT]
    extractor = onnx.utils.Extractor(model)
    try:
        encoder = extractor.extract_model(inputs, [*ends, *outputs[1:]])
        flow = extractor.extract_model(ends, [LATENT]) if PRIOR in ends else None
        decoder = extractor.extract_model([LATENT], outputs[:1])
        onnx.checker.check_model(decoder)
    except (ValueError, KeyError, onnx.checker.ValidationError) as exc:
        raise NotCuttable(f"the graph does not fall apart at its decoder: {exc}") from exc
    return CutModel(
        encoder.SerializeToString(),
        None if flow is None else flow.SerializeToString(),
        decoder.SerializeToString(),
    )


def _tensor(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, None, None])


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def _flow_inputs(graph: onnx.GraphProto, latent: str) -> dict[str, str]:
    """Return the two tensors that enter the flow, each with its new name; empty if not found.

    The flow begins behind the addition that scaled noise enters, and needs a mask beside it.
    """
    starts = [start for noise in _noises(graph) if (start := _noisy_sum(graph, noise))]
    if len(starts) != 1:
        return {}
    behind = _dependents(graph, {starts[0]}) - {starts[0]}
    needed = _needed(graph, latent, starts[0])
    body = [node for node in graph.node if node.output[0] in behind and node.output[0] in needed]
    made = {name for node in body for name in node.output}
    dynamic = _dependents(graph, {tensor.name for tensor in graph.input})
    entering = {name for node in body for name in node.input if name in dynamic} - made
    masks = entering - {starts[0]}
    if starts[0] not in entering or len(masks) != 1:
        return {}
    return {starts[0]: PRIOR, masks.pop(): MASK}


def _noises(graph: onnx.GraphProto) -> list[str]:
    """Return the tensors that `load_seeded` has filled from tables."""
    names = (tensor.name for tensor in graph.initializer)
    return [name.removesuffix(_TABLE) for name in names if name.endswith(_TABLE)]


def _noisy_sum(graph: onnx.GraphProto, noise: str) -> str:
    """Return the sum that a noise enters after products alone; empty when it enters none."""
    name = noise
    while True:
        users = [node for node in graph.node if name in node.input]
        if len(users) != 1 or users[0].op_type not in ("Mul", "Add"):
            return ""
        name = str(users[0].output[0])
        if users[0].op_type == "Add":
            return name


def _dependents(graph: onnx.GraphProto, sources: set[str]) -> set[str]:
    """Return all tensors computed from `sources`; nodes are in the order of computation."""
    found = set(sources)
    for node in graph.node:
        if found.intersection(node.input):
            found.update(node.output)
    return found


def _needed(graph: onnx.GraphProto, target: str, start: str) -> set[str]:
    """Return all tensors that `target` is computed from, none from before `start`."""
    found = {target}
    for node in reversed(graph.node):
        if start not in node.output and found.intersection(node.output):
            found.update(node.input)
    return found


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
