"""Recordings with pauses put between their words, and what voice activity detection makes of them.

A turn is a recording followed by silence. Its pauses are the stretches that the endpointer takes
for silence; the last one is the end of the turn, all others are inside it.
"""

import csv
import dataclasses
import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from antiphon_gateway.endpointing import Endpointer, EndpointingRule, SpeechEdge
from antiphon_gateway.vad import WINDOW_SAMPLES, SileroModel
from antiphon_proto.audio import read_wav
from antiphon_proto.errors import ConfigurationError
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ

MANIFEST = "manifest.csv"
WORD_TIMES = "words.json"
"""Beside the manifest: for each file the `[start_s, end_s, word]` of its words."""

LEAST_SILENCE_MS = 64
_TAIL_MS = 4_200
_PAUSE_MS = (300, 900)
_SEARCH_MS = (-160, 40)
"""Whisper's word times tend to be late; the cut is made where it is quietest near them."""
_LEAST_REST_MS = 300
"""Speech behind a cut: less may be the rest of a word."""
_END_SLACK_MS = 150
"""Silence that begins this long before the marked end of speech is its end."""
_FADE_SAMPLES = 80
_QUIET_SHARE = 0.05
_LEAD_SAMPLES = STT_SAMPLE_RATE_HZ * 3 // 10
_ENDLESS_MS = 600_000
_CONTEXT_SAMPLES = 64
_EAGER_MS = 64

Pcm = npt.NDArray[np.int16]


class Source(NamedTuple):
    """A recording of the manifest."""

    name: str
    speaker: str
    group: str
    transcript: str
    pcm: Pcm
    speech_end: int
    """Sample at which the speech ends, from the manifest."""
    boundaries: tuple[tuple[int, str], ...]
    """Samples between two words, each with the words before it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pause:
    """A silence of a turn, as the endpointer sees it."""

    start: int
    """Sample at which the speech before it ends."""
    length_ms: int
    """Until speech goes on; the whole tail at the end of the turn."""
    is_end: bool
    inserted: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """One thing to say, and its pauses."""

    source: Source
    pcm: Pcm
    speech_start: int
    speech_end: int
    pauses: tuple[Pause, ...]
    inserted_ms: int
    """Pause put between two of its words; 0: as it was said."""


def read_sources(directory: Path) -> list[Source]:
    """Return the English speech that `manifest.csv` lists, its words as `words.json` has them.

    Raises ConfigurationError when there is no such manifest or it lists nothing.
    """
    try:
        with (directory / MANIFEST).open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if _is_speech(row)]
    except OSError as exc:
        raise ConfigurationError(f"cannot read {directory / MANIFEST}: {exc.strerror}") from exc
    if not rows:
        raise ConfigurationError(f"{directory / MANIFEST} lists no speech with a transcript")
    times = directory / WORD_TIMES
    words = json.loads(times.read_text(encoding="utf-8")) if times.exists() else {}
    return [_source(directory, row, words.get(row["file"], [])) for row in rows]


def _is_speech(row: dict[str, str]) -> bool:
    english = row.get("lang", "en") in ("", "en")
    one_speaker = row.get("kind", "speech") == "speech" and row.get("group") != "dialogue"
    return bool(row["transcript"] and row["vad_end"]) and english and one_speaker


def _source(directory: Path, row: dict[str, str], words: Sequence[Sequence[object]]) -> Source:
    data, rate = read_wav(directory / row["file"])
    if rate != STT_SAMPLE_RATE_HZ:
        raise ConfigurationError(f"{row['file']} has {rate} Hz, not {STT_SAMPLE_RATE_HZ}")
    pcm = np.frombuffer(data, dtype=np.int16)
    speaker = row.get("speaker") or row["file"]
    if "crowd" in speaker:
        speaker = row["file"]
    return Source(
        name=row["file"],
        speaker=speaker,
        group=row.get("group") or "all",
        transcript=row["transcript"],
        pcm=pcm,
        speech_end=int(float(row["vad_end"]) * STT_SAMPLE_RATE_HZ),
        boundaries=tuple(_boundaries(pcm, words)),
    )


def _boundaries(pcm: Pcm, words: Sequence[Sequence[object]]) -> list[tuple[int, str]]:
    found = []
    for number in range(1, len(words)):
        middle_s = (float(str(words[number - 1][1])) + float(str(words[number][0]))) / 2
        before = " ".join(str(word[2]) for word in words[:number])
        found.append((_quietest(pcm, int(middle_s * STT_SAMPLE_RATE_HZ)), before))
    return found


def _quietest(pcm: Pcm, around: int) -> int:
    """Return where 10 ms are quietest near a sample."""
    first, last = (around + reach * STT_SAMPLE_RATE_HZ // 1000 for reach in _SEARCH_MS)
    step = STT_SAMPLE_RATE_HZ // 200
    starts = range(max(first, 0), min(last, len(pcm) - 2 * step), step)
    if not starts:
        return around
    return step + min(starts, key=lambda at: float(np.abs(pcm[at : at + 2 * step]).mean()))


def turns_of(source: Source, model: SileroModel, *, inserted: int) -> list[Turn]:
    """Return the recording as a turn, and `inserted` more with one pause between two words.

    The same turns at every call: pauses, places and the kind of silence come from the file's name.
    """
    chance = random.Random(hashlib.sha256(source.name.encode()).digest())
    turns = [_turn(source, model, chance, None, 0)]
    rest = _LEAST_REST_MS * STT_SAMPLE_RATE_HZ // 1000
    places = [at for at, _ in source.boundaries if at + rest < source.speech_end]
    chosen = sorted(chance.sample(places, min(inserted, len(places))))
    turns += [_turn(source, model, chance, at, chance.randint(*_PAUSE_MS)) for at in chosen]
    return turns


def _turn(
    source: Source, model: SileroModel, chance: random.Random, cut: int | None, pause_ms: int
) -> Turn:
    level = _noise_level(source.pcm) if chance.random() < 0.5 else 0.0
    noise = np.random.default_rng(chance.randrange(1 << 32))
    parts, speech_end, place = [source.pcm], source.speech_end, None
    if cut is not None:
        gap = _silence(noise, pause_ms, level)
        parts = [_faded(source.pcm[:cut], -1), gap, _faded(source.pcm[cut:], 1)]
        speech_end += len(gap)
        place = (cut, cut + len(gap))
    pcm = np.concatenate([*parts, _silence(noise, _TAIL_MS, level)])
    start, pauses = _pauses(probabilities_of(pcm, model), place, speech_end)
    return Turn(source, pcm, start, speech_end, pauses, pause_ms)


def _noise_level(pcm: Pcm) -> float:
    """Return the root mean square of the quietest stretches of 20 ms."""
    size = STT_SAMPLE_RATE_HZ // 50
    frames = pcm[: len(pcm) // size * size].reshape(-1, size).astype(np.float64)
    loudness = np.sort(np.sqrt((frames**2).mean(axis=1)))
    return float(loudness[: max(1, int(len(loudness) * _QUIET_SHARE))].mean())


def _silence(noise: np.random.Generator, length_ms: int, level: float) -> Pcm:
    samples = noise.normal(0.0, 1.0, length_ms * STT_SAMPLE_RATE_HZ // 1000) * level
    return samples.clip(-32_768, 32_767).astype(np.int16)


def _faded(pcm: Pcm, direction: int) -> Pcm:
    ramp = np.ones(len(pcm))
    size = min(_FADE_SAMPLES, len(pcm))
    ramp[:size] = np.linspace(0.0, 1.0, size)
    return (pcm * ramp[::direction]).astype(np.int16)


def probabilities_of(pcm: Pcm, model: SileroModel) -> list[float]:
    """Return the speech probability of each window of 32 ms."""
    samples = np.concatenate([np.zeros(_CONTEXT_SAMPLES), pcm / 32_768]).astype(np.float32)
    state = np.zeros((2, 1, 128), np.float32)
    found = []
    for start in range(0, len(pcm) - WINDOW_SAMPLES + 1, WINDOW_SAMPLES):
        window = samples[start : start + _CONTEXT_SAMPLES + WINDOW_SAMPLES]
        probability, state = model.step(window[np.newaxis], state)
        found.append(float(probability[0]))
    return found


def _pauses(
    probabilities: Sequence[float], place: tuple[int, int] | None, speech_end: int
) -> tuple[int, tuple[Pause, ...]]:
    """Return where the speech begins and the silences that the endpointer sees."""
    rule = EndpointingRule(0.5, 96, _EAGER_MS, _ENDLESS_MS, _ENDLESS_MS)
    endpointer = Endpointer(rule)
    began: int | None = None
    open_at = longest_ms = 0
    found: list[tuple[int, int]] = []
    for probability in probabilities:
        for edge in endpointer.feed(probability):
            if edge.kind is SpeechEdge.STARTED and began is None:
                began = edge.sample
            elif edge.kind is SpeechEdge.PAUSED:
                open_at = edge.sample
            elif edge.kind is SpeechEdge.RESUMED:
                found.append((open_at, longest_ms))
        if endpointer.speaking and not endpointer.hears_speech:
            longest_ms = endpointer.silence_ms
    if began is None:
        return 0, ()
    found.append((open_at, longest_ms))
    slack = _END_SLACK_MS * STT_SAMPLE_RATE_HZ // 1000
    ends = [number for number, (start, _) in enumerate(found) if start >= speech_end - slack]
    last = ends[0] if ends else len(found) - 1
    return began, tuple(
        Pause(
            start=start,
            length_ms=length_ms,
            is_end=number == last,
            inserted=place is not None and place[0] - _LEAD_SAMPLES < start < place[1],
        )
        for number, (start, length_ms) in enumerate(found[: last + 1])
    )
