"""When each word of a reply is spoken, found without asking the server.

The text is spoken again by Piper, which tells how long each phoneme is; this reading is then
matched to the audio received (`warping.py`). The two readings differ in their rhythm, not in their
voice.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from piper.voice import PiperVoice

from antiphon_proto import models
from antiphon_proto.audio import Resampler, Samples, pcm16_to_float
from antiphon_proto.config import Config
from bench.turns.sound import RATE_HZ, Word
from bench.turns.warping import HOP_MS, matched

_BREAKS = frozenset(' ^$_.,;:!?"()\u2014\u2026')
"""Phonemes that are not part of a word."""


class WordTimer:
    """Speaks with one Piper voice and tells where its words are in another reading."""

    def __init__(self, voice: Path) -> None:
        self._voice: Any = PiperVoice.load(voice, include_alignments=True)

    @classmethod
    def of(cls, voice: str) -> "WordTimer":
        """Return one of a voice by its name or its file. Raises StartupError when there is none."""
        found = models.find(voice, Config().models.directory)
        return cls(found / "voice.onnx" if found.is_dir() else found)

    def words(self, text: str, pcm: bytes, sample_rate_hz: int) -> list[Word]:
        """Return the words of a text and where they are in PCM16 audio that speaks it.

        The audio may end early; words that it does not reach begin and end at infinity.
        """
        spoken, rate_hz, own = self.speak(text)
        path = matched(_at_16_khz(pcm, sample_rate_hz), _at_16_khz(spoken, rate_hz)) * HOP_MS
        return [Word(_place(path, w.start_ms), _place(path, w.end_ms), w.text) for w in own]

    def speak(self, text: str) -> tuple[bytes, int, list[Word]]:
        """Return a reading of the text: PCM16, its sample rate, and its words."""
        pcm, rate_hz, at = b"", 0, 0
        phonemes: list[tuple[str, int, int]] = []
        for chunk in self._voice.synthesize(text, include_alignments=True):
            rate_hz = chunk.sample_rate
            for alignment in chunk.phoneme_alignments:
                phonemes.append((alignment.phoneme, at, at + alignment.num_samples))
                at += alignment.num_samples
            pcm += chunk.audio_int16_bytes
            at = len(pcm) // 2
        groups = [
            list(group)
            for between, group in itertools.groupby(phonemes, lambda p: p[0] in _BREAKS)
            if not between
        ]
        words = text.split()
        lengths = [max(1, self._phonemes_in(word)) for word in words]
        shares = shared_out(lengths, [len(group) for group in groups])
        spans = [
            span
            for group, share in zip(groups, shares, strict=True)
            for span in _split(group, share)
        ]
        return (
            pcm,
            rate_hz,
            [
                Word(start * 1000 / rate_hz, end * 1000 / rate_hz, word)
                for word, (start, end) in zip(words, spans, strict=True)
            ],
        )

    def _phonemes_in(self, word: str) -> int:
        phonemes = itertools.chain.from_iterable(self._voice.phonemize(word))
        return sum(phoneme not in _BREAKS for phoneme in phonemes)


def shared_out(words: Sequence[int], groups: Sequence[int]) -> list[list[int]]:
    """Pure: tell which words each spoken group holds, from how many phonemes they have.

    A voice speaks some neighbours as one ("of the") and some words as several ("1984"). Returns for
    each group the phoneme counts of its words; a word spoken in several groups is in the first one.
    """
    infinity = float("inf")
    best = [[infinity] * (len(groups) + 1) for _ in range(len(words) + 1)]
    way: dict[tuple[int, int], tuple[int, int]] = {}
    best[0][0] = 0.0
    for i, j in itertools.product(range(len(words) + 1), range(len(groups) + 1)):
        for di, dj in ((1, 1), (2, 1), (3, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 0), (0, 1)):
            if di > i or dj > j:
                continue
            spent = abs(sum(words[i - di : i]) - sum(groups[j - dj : j])) + 0.5 * (di != dj)
            if best[i - di][j - dj] + spent < best[i][j]:
                best[i][j], way[i, j] = best[i - di][j - dj] + spent, (di, dj)
    shares: list[list[int]] = [[] for _ in groups]
    i, j = len(words), len(groups)
    while i or j:
        di, dj = way[i, j]
        if di:
            shares[max(0, min(j - max(dj, 1), len(groups) - 1))][:0] = words[i - di : i]
        i, j = i - di, j - dj
    return shares


def _split(group: Sequence[tuple[str, int, int]], share: Sequence[int]) -> list[tuple[int, int]]:
    """Return where the words of one group begin and end, by their numbers of phonemes."""
    edges = np.cumsum([0, *share]) * len(group) / max(1, sum(share))
    places = [*(start for _, start, _ in group), group[-1][2]]
    at = [places[round(edge)] for edge in edges]
    return list(itertools.pairwise(at))


def _place(path: npt.NDArray[np.floating], reference_ms: float) -> float:
    """Return when the path first reaches a place of the reference."""
    reached = np.flatnonzero(path >= reference_ms)
    return float(reached[0]) * HOP_MS if len(reached) else float("inf")


def _at_16_khz(pcm: bytes, sample_rate_hz: int) -> Samples:
    return pcm16_to_float(Resampler(sample_rate_hz, RATE_HZ).feed(pcm, last=True))
