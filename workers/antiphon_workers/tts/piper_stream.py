"""Running a VITS voice: in one piece, or its encoder once and the rest in windows."""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import onnxruntime

from antiphon_proto.audio import Samples
from antiphon_workers.tts import piper_graph

Inputs = Mapping[str, Any]
"""The voice's inputs by name: `input`, `input_lengths`, `scales`, `sid`."""
Frames = np.ndarray[Any, Any]

_FIRST_WINDOW_FRAMES = 14
_LONGEST_WINDOW_FRAMES = 64
_CONTEXTS_FRAMES = (12, 24, 48)
"""Neighbours a window is decoded with; HiFi-GAN's receptive field is 11 frames in most voices."""
_FLOW_CONTEXT_FRAMES = 32
"""Neighbours the flow needs: 4 couplings of 4 convolutions over 5 frames."""
_SECOND_FLOW_BLOCK_FRAMES = 48
_LONGEST_FLOW_BLOCK_FRAMES = 128
_TOLERANCE = 1e-4
"""Largest difference from the whole decoding: 3 steps of PCM16."""

logger = logging.getLogger(__name__)


class Rendering(NamedTuple):
    """A sentence being rendered."""

    durations_frames: list[int]
    """Frames of each input id; empty when the voice does not tell."""
    parts: Callable[[int, int | None], Iterator[Samples]]
    """Yields the waveform's consecutive parts from one frame to another or the end, each as soon as
    it exists."""


class Voice(Protocol):
    """Renders phonemes."""

    def render(self, inputs: Inputs) -> Rendering:
        """Return the speech of one sentence, its encoding done, its waveform to come."""


def load(path: Path, threads: int, hop_samples: int, sample: Inputs) -> Voice:
    """Return the voice in a file, cut where that gives the same waveform for `sample`."""
    model = piper_graph.load_seeded(path)
    piper_graph.name_durations(model)
    serialized = model.SerializeToString()
    try:
        parts = piper_graph.cut(model)
    except piper_graph.NotCuttable as exc:
        logger.warning("voice does not stream", extra={"reason": str(exc)})
        return WholeVoice(_session(serialized, threads), hop_samples)
    del model
    # One after the other: each session holds a copy of the weights.
    expected = _rendered(WholeVoice(_session(serialized, threads), hop_samples), sample)
    encoder, decoder = _session(parts.encoder, threads), _session(parts.decoder, threads)
    flow = None if parts.flow is None else _session(parts.flow, threads)
    for context_frames in _CONTEXTS_FRAMES:
        streaming = StreamingVoice(encoder, flow, decoder, hop_samples, context_frames)
        streamed = _rendered(streaming, sample)
        if len(streamed) == len(expected) and np.abs(streamed - expected).max() < _TOLERANCE:
            return streaming
    logger.warning("voice does not stream", extra={"reason": "windows differ from the whole"})
    return WholeVoice(_session(serialized, threads), hop_samples)


class WholeVoice:
    """The uncut model."""

    def __init__(self, session: "onnxruntime.InferenceSession", hop_samples: int) -> None:
        self._session = session
        self._hop = hop_samples

    def render(self, inputs: Inputs) -> Rendering:
        """Render the waveform in one part."""
        waveform, *durations = self._session.run(None, dict(inputs))

        def parts(first: int, end: int | None) -> Iterator[Samples]:
            last = None if end is None else end * self._hop
            yield waveform.reshape(-1)[first * self._hop : last]

        return Rendering(_frames(durations), parts)


class StreamingVoice:
    """The cut model. The first part costs the encoder and one short window of the rest."""

    def __init__(
        self,
        encoder: "onnxruntime.InferenceSession",
        flow: "onnxruntime.InferenceSession | None",
        decoder: "onnxruntime.InferenceSession",
        hop_samples: int,
        context_frames: int,
    ) -> None:
        self._encoder = encoder
        self._flow = flow
        self._decoder = decoder
        self._hop = hop_samples
        self._context = context_frames

    def render(self, inputs: Inputs) -> Rendering:
        """Encode the sentence; its parts come window by window, doubling up to 64 frames."""
        if self._flow is None:
            latent, *durations = self._encoder.run(None, dict(inputs))
            mask = latent
        else:
            latent, mask, *durations = self._encoder.run(None, dict(inputs))

        def parts(first: int, end: int | None) -> Iterator[Samples]:
            skipped = max(first - self._context - _FLOW_CONTEXT_FRAMES, 0)
            seen = _Latent(self._flow, latent[:, :, skipped:], mask[:, :, skipped:])
            last = seen.frames if end is None else end - skipped
            return self._windows(seen, first - skipped, last)

        return Rendering(_frames(durations), parts)

    def _windows(self, latent: "_Latent", start: int, last: int) -> Iterator[Samples]:
        length = _FIRST_WINDOW_FRAMES
        while start < last:
            end = min(start + length, last)
            yield self._window(latent, start, end)
            start, length = end, min(2 * length, _LONGEST_WINDOW_FRAMES)

    def _window(self, latent: "_Latent", start: int, end: int) -> Samples:
        """Decode frames `start` to `end` among their neighbours."""
        first = max(start - self._context, 0)
        piece = latent.up_to(end + self._context)[:, :, first:]
        decoded = self._decoder.run(None, {piper_graph.LATENT: piece})[0].reshape(-1)
        samples: Samples = decoded[(start - first) * self._hop : (end - first) * self._hop]
        return samples


class _Latent:
    """The flow's output, made from the left as far as it is asked for.

    Without a flow it is what is given.
    """

    def __init__(
        self, flow: "onnxruntime.InferenceSession | None", prior: Frames, mask: Frames
    ) -> None:
        self.frames: int = prior.shape[2]
        self._flow = flow
        self._prior = prior
        self._mask = mask
        self._made: Frames = prior[:, :, :0] if flow else prior
        self._block = 0

    def up_to(self, frame: int) -> Frames:
        """Return `[1, channels, frame]`, less at the end of the sentence."""
        while self._made.shape[2] < min(frame, self.frames):
            self._extend(frame)
        return self._made[:, :, :frame]

    def _extend(self, frame: int) -> None:
        """Make the first block as short as it may be, later ones long: each costs its context."""
        assert self._flow is not None
        start = self._made.shape[2]
        end = max(frame, start + self._block)
        self._block = _LONGEST_FLOW_BLOCK_FRAMES if start else _SECOND_FLOW_BLOCK_FRAMES
        if self.frames - end < _FLOW_CONTEXT_FRAMES:
            end = self.frames
        first, last = max(start - _FLOW_CONTEXT_FRAMES, 0), end + _FLOW_CONTEXT_FRAMES
        inputs = {
            piper_graph.PRIOR: self._prior[:, :, first:last],
            piper_graph.MASK: self._mask[:, :, first:last],
        }
        block = self._flow.run([piper_graph.LATENT], inputs)[0][:, :, start - first : end - first]
        self._made = np.concatenate([self._made, block], axis=2)


def _frames(durations: list[Frames]) -> list[int]:
    return [int(frames) for frames in durations[0].reshape(-1)] if durations else []


def _rendered(voice: Voice, inputs: Inputs) -> Samples:
    return np.concatenate(list(voice.render(inputs).parts(0, None)))


def _session(model: bytes, threads: int) -> "onnxruntime.InferenceSession":
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads would keep cores busy between jobs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
