"""Running a VITS voice: in one piece, or its encoder once and its decoder in windows."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime

from antiphon_proto.audio import Samples
from antiphon_workers.tts import piper_graph

Inputs = Mapping[str, Any]
"""The voice's inputs by name: `input`, `input_lengths`, `scales`, `sid`."""

_FIRST_WINDOW_FRAMES = 16
_LONGEST_WINDOW_FRAMES = 64
_CONTEXTS_FRAMES = (12, 24, 48)
"""Neighbours a window is decoded with; HiFi-GAN's receptive field is 11 frames in most voices."""
_TOLERANCE = 1e-4
"""Largest difference from the whole decoding: 3 steps of PCM16."""

logger = logging.getLogger(__name__)


class Voice(Protocol):
    """Renders phonemes."""

    def render(self, inputs: Inputs) -> Iterator[Samples]:
        """Yield the waveform's consecutive parts, each as soon as it exists."""


def load(path: Path, threads: int, hop_samples: int, sample: Inputs) -> Voice:
    """Return the voice in a file, cut in two where that gives the same waveform for `sample`."""
    model = piper_graph.load_seeded(path)
    serialized = model.SerializeToString()
    try:
        halves = piper_graph.cut(model)
    except piper_graph.NotCuttable as exc:
        logger.warning("voice does not stream", extra={"reason": str(exc)})
        return WholeVoice(_session(serialized, threads))
    del model
    # One after the other: each session holds a copy of the weights.
    expected = _rendered(WholeVoice(_session(serialized, threads)), sample)
    encoder, decoder = _session(halves.encoder, threads), _session(halves.decoder, threads)
    for context_frames in _CONTEXTS_FRAMES:
        streaming = StreamingVoice(encoder, decoder, hop_samples, context_frames)
        streamed = _rendered(streaming, sample)
        if len(streamed) == len(expected) and np.abs(streamed - expected).max() < _TOLERANCE:
            return streaming
    logger.warning("voice does not stream", extra={"reason": "windows differ from the whole"})
    return WholeVoice(_session(serialized, threads))


class WholeVoice:
    """The uncut model."""

    def __init__(self, session: "onnxruntime.InferenceSession") -> None:
        self._session = session

    def render(self, inputs: Inputs) -> Iterator[Samples]:
        """Yield the waveform in one part."""
        yield self._session.run(None, dict(inputs))[0].reshape(-1)


class StreamingVoice:
    """The cut model. The first part costs the encoder and one short window."""

    def __init__(
        self,
        encoder: "onnxruntime.InferenceSession",
        decoder: "onnxruntime.InferenceSession",
        hop_samples: int,
        context_frames: int,
    ) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._hop = hop_samples
        self._context = context_frames

    def render(self, inputs: Inputs) -> Iterator[Samples]:
        """Yield the waveform window by window; windows double up to 64 frames."""
        latent = self._encoder.run([piper_graph.LATENT], dict(inputs))[0]
        frames = latent.shape[2]
        start, length = 0, _FIRST_WINDOW_FRAMES
        while start < frames:
            end = min(start + length, frames)
            yield self._window(latent, start, end)
            start, length = end, min(2 * length, _LONGEST_WINDOW_FRAMES)

    def _window(self, latent: "np.ndarray[Any, Any]", start: int, end: int) -> Samples:
        """Decode frames `start` to `end` among their neighbours."""
        first = max(start - self._context, 0)
        piece = latent[:, :, first : end + self._context]
        decoded = self._decoder.run(None, {piper_graph.LATENT: piece})[0].reshape(-1)
        samples: Samples = decoded[(start - first) * self._hop : (end - first) * self._hop]
        return samples


def _rendered(voice: Voice, inputs: Inputs) -> Samples:
    return np.concatenate(list(voice.render(inputs)))


def _session(model: bytes, threads: int) -> "onnxruntime.InferenceSession":
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads would keep cores busy between jobs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
