"""Is the microphone hearing what we are playing? Pure.

An echo has the rises and falls of what was played, in each band of the spectrum, some time later.
So the levels of ten bands, every 16 ms, are compared with those of the played audio at every lag;
the normalised correlation of the best lag tells. It needs no clock better than half a second and no
estimate of the room, and speech of somebody else over the echo lowers it at once. What was played
is known with its pauses and how loud it was: an echo has them as well.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from antiphon_proto.audio import Samples, pcm16_to_float
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ

COMPARED_MS = 400
"""Audio of the microphone that is judged."""
CONTEXT_MS = 1_200
"""Audio of the microphone that must fit: where there was no echo before there is none now."""
_CONTEXT_LIKENESS = 0.5
MAX_LAG_MS = 560
"""From the moment the server takes the audio to be played to its echo in the microphone."""
_EARLY_MS = 48
"""By how much the server may take audio to be played too late."""
_HELD_MS = 4_000
_MOST_STRETCHES = 16
"""Changes of how it is played that are remembered: more than fit into what is compared."""
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


class _Stretch(NamedTuple):
    """How the client plays on from a sample."""

    position: int
    since_ms: float
    gain: float
    """0: not at all."""


class PlayedAudio:
    """The newest audio of one response that was sent, by its sample positions."""

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._limit_bytes = sample_rate_hz * _HELD_MS // 1000 * 2
        self._held = bytearray()
        self._end = 0
        self._stretches = [_Stretch(0, 0.0, 1.0)]

    def add(self, pcm: bytes) -> None:
        """Add PCM16 behind what was added; the oldest is forgotten after 4 s."""
        self._held += pcm
        self._end += len(pcm) // 2
        del self._held[: max(0, len(self._held) - self._limit_bytes)]

    def forget(self) -> None:
        """Hold nothing any more; the positions stay."""
        self._held.clear()

    def play(self, gain: float, position: int, now_ms: float, late_ms: float = 0.0) -> None:
        """Take note that from this sample on it is played with a gain; 0: not until it goes on.

        It is heard so by what arrives `late_ms` from now on: a round trip later.
        """
        last = self._stretches[-1]
        if last.gain:
            position += int(late_ms * self.sample_rate_hz / 1000)
        else:
            self._stretches[-1] = last._replace(position=position)
        self._stretches.append(_Stretch(position, now_ms + late_ms, gain))
        del self._stretches[:-_MOST_STRETCHES]

    def newest(self, span: int, position: int, now_ms: float) -> Samples:
        """Return the newest `span` samples of what is heard, pauses included, a little beyond now.

        `position`: how much of the response is taken to be played.
        """
        pieces: list[Samples] = []
        until_ms, rate, last = now_ms + _EARLY_MS, self.sample_rate_hz, self._stretches[-1]
        end = position + _EARLY_MS * rate // 1000
        if not last.gain:
            before_ms = max(0.0, last.since_ms - until_ms)
            end = max(position, last.position - int(before_ms * rate / 1000))
        for stretch in reversed(self._stretches):
            if stretch.gain:
                start = min(end, max(stretch.position, end - span))
                pieces.append(pcm16_to_float(self.between(start, end)) * np.float32(stretch.gain))
                end = start
            else:
                silent = int((until_ms - stretch.since_ms) * rate / 1000)
                pieces.append(np.zeros(min(max(0, silent), span), np.float32))
            span -= len(pieces[-1])
            until_ms = stretch.since_ms
        pieces.append(np.zeros(span, np.float32))
        return np.concatenate(pieces[::-1])

    def between(self, start: int, end: int) -> bytes:
        """Return the PCM16 between two samples, silence where there is none."""
        first = self._end - len(self._held) // 2
        held = self._held[2 * max(0, start - first) : 2 * max(0, end - first)]
        before = bytes(2 * max(0, min(first, end) - start))
        return (before + held).ljust(2 * max(0, end - start), b"\0")


def likeness(
    microphone: bytes,
    played: PlayedAudio,
    heard_samples: int,
    now_ms: float = 0.0,
    newest_ms: int = COMPARED_MS,
) -> float:
    """Return how much the newest audio of the microphone is an echo: -1 to 1.

    `microphone` is PCM16 at 16 kHz, up to `CONTEXT_MS` of it, of which the last `newest_ms` are
    judged; what is before, since the response began, must fit the same lag. `heard_samples` is how
    much of the response is taken to be played at `now_ms`, when it ends.
    """
    rate = played.sample_rate_hz
    context_ms = max(newest_ms, heard_samples * 1000 // rate)
    microphone = microphone[-2 * context_ms * STT_SAMPLE_RATE_HZ // 1000 :]
    if not any(microphone[-2 * newest_ms * STT_SAMPLE_RATE_HZ // 1000 :]):
        return -1.0
    heard = _levels(pcm16_to_float(microphone), STT_SAMPLE_RATE_HZ, _FLOOR_DB)
    span_ms = len(heard) * _HOP_MS + MAX_LAG_MS + _EARLY_MS + _HOP_MS
    sound = played.newest(span_ms * rate // 1000, heard_samples, now_ms)
    source = _levels(sound, rate, _PLAYED_FLOOR_DB)
    lags = len(source) - len(heard) + 1
    if not len(heard) or lags < 1:
        return -1.0
    newest = heard[-max(1, newest_ms // _HOP_MS - 1) :]
    alike = _correlations(newest, source)[-lags:]
    context = np.pad(_correlations(heard, source), 1, mode="edge")
    fits = np.max([context[:-2], context[1:-1], context[2:]], axis=0) >= _CONTEXT_LIKENESS
    return float(np.max(alike, where=fits, initial=-1.0))


def echoed_words(words: Iterable[str], spoken: Iterable[str]) -> bool:
    """Tell whether words, in lower case, are those just spoken: two or more, hardly one other."""
    said = list(words)
    known = set(spoken)
    return len(said) >= 2 and sum(word in known for word in said) >= 0.8 * len(said)


def _correlations(heard: _Levels, source: _Levels) -> _Levels:
    """Return the correlation of `[frames, bands]` with each part of `source`, the newest last."""
    windows = np.lib.stride_tricks.sliding_window_view(source, len(heard), axis=0)
    says_something = windows.std(axis=2).mean(axis=1) >= _SILENT_DB
    depth = np.ptp(np.percentile(heard, (_NOISE_PERCENT, 100), axis=0), axis=0)
    windows = np.maximum(windows, windows.max(axis=2, keepdims=True) - depth[:, np.newaxis])
    windows = windows - windows.mean(axis=2, keepdims=True)
    centred = heard - heard.mean(axis=0)
    products = np.einsum("lbf,fb->l", windows, centred)
    energies = np.einsum("lbf,lbf->l", windows, windows) * float(np.sum(centred * centred))
    return np.where(says_something, products / np.sqrt(energies + 1e-9), -1.0)


def _levels(samples: Samples, sample_rate_hz: int, floor_db: float) -> _Levels:
    """Return the levels `[frames, bands]` in dB of full scale, one frame every 16 ms."""
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
