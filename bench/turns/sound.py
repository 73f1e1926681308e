"""Pure: sounds for a microphone, and how scenarios are made of them. All are 16 kHz mono."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from antiphon_proto.audio import Samples

RATE_HZ = 16_000
SILENCE_DBFS = -120.0

_WINDOW = RATE_HZ // 100
_BELOW_LOUD_DB = 30.0
_PAUSE_BELOW_LOUD_DB = 25.0
_ABOVE_FLOOR_DB = 6.0
_SHORTEST_PAUSE_MS = 100.0
_FADE = RATE_HZ // 100
_SEARCH = RATE_HZ * 80 // 1000
_FLOOR_PERCENT = 10


class Word(NamedTuple):
    """A word and where it is said, in milliseconds."""

    start_ms: float
    end_ms: float
    text: str


class Sound(NamedTuple):
    """Something for a microphone to pick up."""

    name: str
    samples: Samples
    start_ms: float
    """Where the speech begins, or the sound itself when nobody speaks."""
    end_ms: float
    transcript: str = ""
    """What is said; empty for what is no speech."""
    words: tuple[Word, ...] = ()
    """In order; empty when their times are not known."""


def milliseconds(samples: int) -> float:
    """Return the duration of so many samples."""
    return samples * 1000 / RATE_HZ


def sample_at(ms: float) -> int:
    """Return the sample at a time."""
    return round(ms * RATE_HZ / 1000)


def level_dbfs(samples: Samples) -> float:
    """Return the RMS level of the loud part: of the 10 ms windows within 30 dB of the 95th
    percentile. Pauses do not lower it."""
    levels = _levels(samples)
    if not len(levels):
        return SILENCE_DBFS
    loud = levels[levels > np.percentile(levels, 95) - _BELOW_LOUD_DB]
    return float(10 * np.log10(np.mean(10 ** (loud / 10)))) if len(loud) else SILENCE_DBFS


def at_level(samples: Samples, dbfs: float) -> Samples:
    """Return the samples with this level; silence stays silence."""
    now_dbfs = level_dbfs(samples)
    if now_dbfs <= SILENCE_DBFS:
        return samples
    scaled: Samples = (samples * 10 ** ((dbfs - now_dbfs) / 20)).astype(np.float32)
    return scaled


def at_snr(noise: Samples, speech_dbfs: float, snr_db: float) -> Samples:
    """Return the noise so loud that speech of this level is `snr_db` above it."""
    return at_level(noise, speech_dbfs - snr_db)


def longest_pause_ms(sound: Sound) -> float:
    """Return the longest stretch inside the speech that is 25 dB below its loud parts."""
    speech = sound.samples[sample_at(sound.start_ms) : sample_at(sound.end_ms)]
    levels = _levels(speech)
    if not len(levels):
        return 0.0
    loud = np.flatnonzero(levels > np.percentile(levels, 95) - _PAUSE_BELOW_LOUD_DB)
    gaps = np.diff(loud) - 1
    return float(gaps.max(initial=0)) * milliseconds(_WINDOW)


def pauses(sound: Sound) -> list[tuple[float, float]]:
    """Return where the speech pauses for at least 100 ms, from and to, in milliseconds.

    It does where it is 25 dB below its loud parts or no more than 6 dB above the noise floor.
    """
    speech = sound.samples[sample_at(sound.start_ms) : sample_at(sound.end_ms)]
    levels = _levels(speech)
    if not len(levels):
        return []
    loudest = float(np.percentile(levels, 95))
    least = max(loudest - _PAUSE_BELOW_LOUD_DB, _floor_dbfs(sound.samples) + _ABOVE_FLOOR_DB)
    times_ms = sound.start_ms + np.flatnonzero(levels > least) * milliseconds(_WINDOW)
    return [
        (before + milliseconds(_WINDOW), after)
        for before, after in itertools.pairwise(times_ms.tolist())
        if after - before - milliseconds(_WINDOW) >= _SHORTEST_PAUSE_MS
    ]


def with_pause(sound: Sound, words: int, pause_ms: float, seed: int) -> Sound:
    """Return the sound with a pause after its first `words` words.

    It is cut where it is quietest within 80 ms of the boundary between two words, faded for 10 ms,
    and the pause has the noise floor of the recording. Raises ValueError when there is no word
    before or after the cut.
    """
    if not 0 < words < len(sound.words):
        raise ValueError(f"{sound.name} cannot be cut after {words} of {len(sound.words)} words")
    between_ms = (sound.words[words - 1].end_ms + sound.words[words].start_ms) / 2
    cut = _quietest(sound.samples, sample_at(between_ms))
    head, tail = sound.samples[:cut].copy(), sound.samples[cut:].copy()
    fade = np.linspace(0, 1, _FADE, dtype=np.float32)
    head[-_FADE:] *= fade[::-1][-len(head) :]
    tail[:_FADE] *= fade[: len(tail)]
    pause = _room_noise(sound.samples, sample_at(pause_ms), seed)
    later = tuple(
        word._replace(start_ms=word.start_ms + pause_ms, end_ms=word.end_ms + pause_ms)
        for word in sound.words[words:]
    )
    return sound._replace(
        name=f"{sound.name} after {words} words {pause_ms:.0f} ms",
        samples=np.concatenate([head, pause, tail]),
        end_ms=sound.end_ms + pause_ms,
        words=(*sound.words[:words], *later),
    )


def joined(sounds: Sequence[Sound], gaps_ms: Sequence[float]) -> Sound:
    """Return one speech of several sounds, with these silences between their words."""
    pieces: list[Samples] = []
    words: list[Word] = []
    at_ms = 0.0
    for index, sound in enumerate(sounds):
        first, last = sample_at(sound.start_ms), sample_at(sound.end_ms)
        shift_ms = at_ms - sound.start_ms
        words += [Word(w.start_ms + shift_ms, w.end_ms + shift_ms, w.text) for w in sound.words]
        gap = sample_at(gaps_ms[index]) if index + 1 < len(sounds) else 0
        pieces += [sound.samples[first:last], np.zeros(gap, np.float32)]
        at_ms += milliseconds(last - first + gap)
    samples = np.concatenate(pieces)
    transcript = " ".join(sound.transcript for sound in sounds)
    return Sound(
        f"{len(sounds)} clips", samples, 0.0, milliseconds(len(samples)), transcript, tuple(words)
    )


def _levels(samples: Samples) -> Samples:
    """Return the level of each 10 ms in dBFS."""
    count = len(samples) // _WINDOW
    power = np.mean(samples[: count * _WINDOW].reshape(count, _WINDOW) ** 2, axis=1)
    levels: Samples = (10 * np.log10(power + 1e-12)).astype(np.float32)
    return levels


def _quietest(samples: Samples, near: int) -> int:
    first = max(0, near - _SEARCH)
    levels = _levels(samples[first : near + _SEARCH])
    return first + int(levels.argmin()) * _WINDOW + _WINDOW // 2


def _room_noise(samples: Samples, length: int, seed: int) -> Samples:
    noise = np.random.default_rng(seed).standard_normal(length)
    quiet: Samples = (noise * 10 ** (_floor_dbfs(samples) / 20)).astype(np.float32)
    return quiet


def _floor_dbfs(samples: Samples) -> float:
    return float(np.percentile(_levels(samples), _FLOOR_PERCENT))
