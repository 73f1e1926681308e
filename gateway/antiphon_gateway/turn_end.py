"""How much silence ends a turn, by what is known of its sound, its words and its speaker. Pure.

The score is a logistic model: the logarithm of the odds that the turn is over, for as many ends as
pauses. What is not known adds nothing. `make bench-endpointing` fits and compares it.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from antiphon_gateway.turn_text import ends_in_mark, hangs, reads_complete, trails_off, words

Eagerness = Literal["low", "medium", "high", "auto"]

HARD_END_MS: dict[Eagerness, int] = {"high": 1_200, "medium": 2_000, "auto": 2_000, "low": 4_000}
"""Silence that ends a turn whatever else is known."""

_BIAS: dict[Eagerness, float] = {"high": 0.5, "medium": 0.0, "auto": 0.0, "low": -0.8}
"""Added to the score."""
_SILENCE_MS = ((-2.0, 2_000), (-0.5, 1_000), (0.3, 800), (0.8, 480), (1.2, 0))
"""Silence that is needed at a score, straight lines between. The last is cut off at the least."""
_COMPLETE_WORDS_MS: dict[Eagerness, int] = {"high": 400, "medium": 480, "auto": 480, "low": 800}
"""Needed when the words read complete and nothing else is known."""

_PRIOR = -0.2
_SOUND = 0.15
_SOUND_MIDDLE = 2.0
_MESSAGE_END = 0.43
_MESSAGE_END_MIDDLE = -2.0
_HAS_END_MARK = 0.3
_HAS_NO_END_MARK = -0.1
_ASKED = -0.35
_HANGS = -0.8
_TRAILS_OFF = -0.8
_FEW_WORDS = -0.6
_MOST_LOG_ODDS = 4.0
_FEW = 2


class Sounding(NamedTuple):
    """What the model of turn ends answered."""

    silence_ms: int
    """Silence that it heard after the speech."""
    probability: float


class Evidence(NamedTuple):
    """What is known of a pause."""

    soundings: Sequence[Sounding] = ()
    transcript: str | None = None
    message_end: float | None = None
    """The language model's probability that the message ends with the transcript."""
    pauses_ms: Sequence[int] = ()
    """Earlier pauses inside this speaker's turns."""
    language: str = ""


class Verdict(NamedTuple):
    """The silence that ends the turn, and what that was decided from."""

    silence_ms: int
    reason: str


def weigh(evidence: Evidence, eagerness: Eagerness, least_silence_ms: int) -> Verdict:
    """Return the silence that ends the turn by what is known now.

    It lies between `least_silence_ms` and the hard end of the eagerness.
    """
    hard_end_ms = HARD_END_MS[eagerness]
    known = {
        "sound": bool(evidence.soundings),
        "words": bool(evidence.transcript),
        "model": evidence.message_end is not None,
    }
    if known["sound"] or known["model"]:
        needed_ms = _silence_ms(score(evidence) + _BIAS[eagerness])
    elif evidence.transcript and reads_complete(evidence.transcript):
        needed_ms = _COMPLETE_WORDS_MS[eagerness]
    else:
        return Verdict(hard_end_ms, "silence")
    reason = "+".join(name for name, there in known.items() if there)
    return Verdict(min(max(needed_ms, least_silence_ms), hard_end_ms), reason)


def score(evidence: Evidence) -> float:
    """Return the logarithm of the odds that the turn is over."""
    total = _PRIOR
    if evidence.soundings:
        odds = [_log_odds(sounding.probability) for sounding in evidence.soundings]
        total += _SOUND * (sum(odds) / len(odds) - _SOUND_MIDDLE)
    if evidence.message_end is not None:
        total += _MESSAGE_END * (_log_odds(evidence.message_end, 7.0) - _MESSAGE_END_MIDDLE)
    if evidence.transcript:
        total += _score_of_words(evidence.transcript, evidence.language)
    return total


def _score_of_words(transcript: str, language: str) -> float:
    total = _HAS_END_MARK if ends_in_mark(transcript) else _HAS_NO_END_MARK
    if transcript.endswith("?"):
        total += _ASKED
    if trails_off(transcript):
        total += _TRAILS_OFF
    if language in ("", "en") and hangs(transcript):
        total += _HANGS
    if len(words(transcript)) <= _FEW:
        total += _FEW_WORDS
    return total


def _silence_ms(total: float) -> int:
    """Return the silence needed at a score."""
    (low, most_ms), *rest = _SILENCE_MS
    if total <= low:
        return most_ms
    for high, least_ms in rest:
        if total <= high:
            return round(most_ms + (least_ms - most_ms) * (total - low) / (high - low))
        low, most_ms = high, least_ms
    return most_ms


def _log_odds(probability: float, most: float = _MOST_LOG_ODDS) -> float:
    probability = min(max(probability, 1e-9), 1 - 1e-9)
    return min(max(math.log(probability / (1 - probability)), -most), most)
