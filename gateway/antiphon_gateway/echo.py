"""Is the microphone hearing what we are playing? Pure.

An echo has the rises and falls of what was played, in each band of the spectrum, some time later.
So the levels of ten bands, every 16 ms, are compared with those of the played audio at every lag;
the normalised correlation of the best lag tells. It needs no clock better than half a second and no
estimate of the room, and speech of somebody else over the echo lowers it at once.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from antiphon_proto.audio import pcm16_to_float
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ

COMPARED_MS = 400
"""Audio of the microphone that is compared."""
MAX_LAG_MS = 560
"""From the moment the server takes the audio to be played to its echo in the microphone."""
_EARLY_MS = 48
"""By how much the server may take audio to be played too late."""
_HELD_MS = 4_000
_HOP_MS = 16
_BANDS = 10
_LOWEST_HZ, _HIGHEST_HZ = 200, 3_800
_FLOOR_DB = -75.0
_PLAYED_FLOOR_DB = -60.0
_NOISE_PERCENT = 10
"""The quietest part of the microphone's levels is its noise, which hides what was played softly."""
_SILENT_DB = 4.0
"""A played piece whose levels vary by less says nothing about an echo."""

_Levels = npt.NDArray[np.float32]


class PlayedAudio:
    """The newest audio of one response that was sent, by its sample positions."""

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._limit_bytes = sample_rate_hz * _HELD_MS // 1000 * 2
        self._held = bytearray()
        self._end = 0

    def add(self, pcm: bytes) -> None:
        """Add PCM16 behind what was added; the oldest is forgotten after 4 s."""
        self._held += pcm
        self._end += len(pcm) // 2
        del self._held[: max(0, len(self._held) - self._limit_bytes)]

    def forget(self) -> None:
        """Hold nothing any more; the positions stay."""
        self._held.clear()

    def between(self, start: int, end: int) -> bytes:
        """Return the PCM16 between two samples, silence where there is none."""
        first = self._end - len(self._held) // 2
        held = self._held[2 * max(0, start - first) : 2 * max(0, end - first)]
        before = bytes(2 * max(0, min(first, end) - start))
        return (before + held).ljust(2 * max(0, end - start), b"\0")


def likeness(microphone: bytes, played: PlayedAudio, heard_samples: int) -> float:
    """Return how much the newest audio of the microphone is an echo: -1 to 1.

    `microphone` is PCM16 at 16 kHz, up to `COMPARED_MS` of it; `heard_samples` is how
    much of the response is taken to be played when it ends.
    """
    if not any(microphone):
        return -1.0
    rate = played.sample_rate_hz
    heard = _levels(microphone, STT_SAMPLE_RATE_HZ, _FLOOR_DB)
    end = heard_samples + _EARLY_MS * rate // 1000
    span_ms = len(heard) * _HOP_MS + MAX_LAG_MS + _EARLY_MS + _HOP_MS
    source = _levels(played.between(end - span_ms * rate // 1000, end), rate, _PLAYED_FLOOR_DB)
    if not len(heard) or len(source) < len(heard):
        return -1.0
    return _best_correlation(heard, source)


def echoed_words(words: Iterable[str], spoken: Iterable[str]) -> bool:
    """Tell whether words, in lower case, are those just spoken: two or more, hardly one other."""
    said = list(words)
    known = set(spoken)
    return len(said) >= 2 and sum(word in known for word in said) >= 0.8 * len(said)


def _best_correlation(heard: _Levels, source: _Levels) -> float:
    """Return the highest correlation of `[frames, bands]` with any part of `source`."""
    windows = np.lib.stride_tricks.sliding_window_view(source, len(heard), axis=0)
    says_something = windows.std(axis=2).mean(axis=1) >= _SILENT_DB
    if not says_something.any():
        return -1.0
    windows = windows[says_something]
    depth = np.ptp(np.percentile(heard, (_NOISE_PERCENT, 100), axis=0), axis=0)
    windows = np.maximum(windows, windows.max(axis=2, keepdims=True) - depth[:, np.newaxis])
    windows = windows - windows.mean(axis=2, keepdims=True)
    centred = heard - heard.mean(axis=0)
    products = np.einsum("lbf,fb->l", windows, centred)
    energies = np.einsum("lbf,lbf->l", windows, windows) * float(np.sum(centred * centred))
    return float(np.max(products / np.sqrt(energies + 1e-9)))


def _levels(pcm: bytes, sample_rate_hz: int, floor_db: float) -> _Levels:
    """Return the levels `[frames, bands]` in dB of full scale, one frame every 16 ms."""
    samples = pcm16_to_float(pcm)
    size, hop = 2 * _HOP_MS * sample_rate_hz // 1000, _HOP_MS * sample_rate_hz // 1000
    if len(samples) < size:
        return np.zeros((0, _BANDS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2 / size
    edges_hz = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, _BANDS + 1)
    edges = np.round(edges_hz * size / sample_rate_hz).astype(int)
    bands = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1) / np.diff(edges)
    levels: _Levels = np.maximum(10 * np.log10(bands + 1e-9), floor_db).astype(np.float32)
    return levels
