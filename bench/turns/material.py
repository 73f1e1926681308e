"""Reads what the scripts are made of: recordings of people, their words, and other sounds."""

import csv
import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from antiphon.recording import load, resampled
from antiphon_proto.audio import pcm16_to_float
from antiphon_proto.errors import ConfigurationError
from bench.clips import MANIFEST
from bench.turns.sound import RATE_HZ, Sound, Word, level_dbfs, longest_pause_ms, milliseconds

WORDS = "words.json"
MAX_CLIP_S = 16.0
NATURAL_PAUSE_MS = 200.0

_REQUEST_TEXT = """
    who what when where why which how is are am was were do does did can could will would shall
    should may might has have get give make take bring brew tell show play stop start launch open
    close turn switch set put go let please i'd want need
"""
_REQUEST_WORDS = frozenset(_REQUEST_TEXT.split())
"""How questions, orders and commands begin."""


class Material(NamedTuple):
    """All sounds of a measurement."""

    clips: tuple[Sound, ...]
    backchannels: tuple[Sound, ...]
    coughs: tuple[Sound, ...]
    """Sounds of a person at the microphone that are no words."""
    noises: tuple[Sound, ...]

    @property
    def requests(self) -> tuple[Sound, ...]:
        """The clips that ask or order something, all clips when none does."""
        return tuple(clip for clip in self.clips if is_request(clip.transcript)) or self.clips

    @property
    def cuttable(self) -> tuple[Sound, ...]:
        """The requests of at least three words whose times are known."""
        return tuple(clip for clip in self.requests if len(clip.words) >= 3)

    @property
    def paused(self) -> tuple[Sound, ...]:
        """The clips with a pause of their own of at least 200 ms."""
        return tuple(clip for clip in self.clips if longest_pause_ms(clip) >= NATURAL_PAUSE_MS)

    @property
    def timed(self) -> tuple[Sound, ...]:
        """The clips whose word times are known."""
        return tuple(clip for clip in self.clips if clip.words)

    @property
    def speech_dbfs(self) -> float:
        """The usual level of the speech."""
        return statistics.median(level_dbfs(clip.samples) for clip in self.clips)


def is_request(transcript: str) -> bool:
    """Tell whether a sentence begins as a question, an order or a command does."""
    words = transcript.lower().split()
    return bool(words) and (words[0] in _REQUEST_WORDS or words[:2] == ["i", "want"])


def read_material(clips: Path, backchannels: Path, coughs: Path, noises: Path) -> Material:
    """Read four directories; see README.md for what is in them. Raises ConfigurationError."""
    return Material(_clips(clips), _sounds(backchannels), _sounds(coughs), _sounds(noises))


def _clips(directory: Path) -> tuple[Sound, ...]:
    """Return the English recordings of a manifest that have a transcript, up to 16 s long."""
    try:
        with (directory / MANIFEST).open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if _is_usable(row)]
    except OSError as exc:
        raise ConfigurationError(f"cannot read {directory / MANIFEST}: {exc.strerror}") from exc
    except KeyError as exc:
        raise ConfigurationError(f"{directory / MANIFEST} has no column {exc}") from exc
    words = _read_words(directory / WORDS)
    clips = [_clip(directory, row, words.get(row["file"], [])) for row in rows]
    short = tuple(clip for clip in clips if len(clip.samples) <= MAX_CLIP_S * RATE_HZ)
    if not short:
        raise ConfigurationError(f"{directory / MANIFEST} lists no clip with a transcript")
    return short


def _is_usable(row: Mapping[str, str]) -> bool:
    known = row["transcript"] and row["vad_start"] and row["vad_end"]
    return bool(known) and row.get("lang", "en") in ("en", "") and row.get("group") != "dialogue"


def _clip(directory: Path, row: Mapping[str, str], words: list[list[float | str]]) -> Sound:
    start_ms, end_ms = float(row["vad_start"]) * 1000, float(row["vad_end"]) * 1000
    timed = tuple(
        Word(
            min(max(float(start_s) * 1000, start_ms), end_ms),
            max(min(float(end_s) * 1000, end_ms), start_ms),
            str(text).strip(),
        )
        for start_s, end_s, text in words
    )
    sound = _load(directory / row["file"])
    return sound._replace(
        start_ms=start_ms, end_ms=end_ms, transcript=row["transcript"], words=timed
    )


def _read_words(path: Path) -> dict[str, list[list[float | str]]]:
    """Return `[start_s, end_s, word]` of each word of each file; none when there is no such file.

    An aligner counts silence around the speech to the first and the last word.
    """
    if not path.exists():
        return {}
    try:
        words: dict[str, list[list[float | str]]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"cannot read {path}: {exc}") from exc
    return words


def _sounds(directory: Path) -> tuple[Sound, ...]:
    """Return every WAV file of a directory."""
    sounds = tuple(_load(path) for path in sorted(directory.glob("*.wav")))
    if not sounds:
        raise ConfigurationError(f"{directory} holds no WAV file")
    return sounds


def _load(path: Path) -> Sound:
    samples = pcm16_to_float(resampled(load(path), RATE_HZ).pcm)
    return Sound(path.name, samples, 0.0, milliseconds(len(samples)))
