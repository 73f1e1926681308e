"""How much silence ends a turn, by what is known of its sound and its words. Pure.

The score is a logistic model: the logarithm of the odds that the turn is over, for as many ends as
pauses. What is not known adds nothing. `make bench-endpointing` compares the rule with others and,
with `ARGS=--fit`, fits its weights.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from antiphon_gateway.turn_text import ends_in_mark, reads_complete, trails_off, words

Eagerness = Literal["low", "medium", "high", "auto"]

HARD_END_MS: dict[Eagerness, int] = {"high": 1_200, "medium": 2_000, "auto": 2_000, "low": 4_000}
"""Silence that ends a turn whatever else is known."""

WEIGHTS: dict[str, float] = {
    "prior": 0.40,
    "sound": 0.23,
    "model": 0.33,
    "phrase_end": 0.59,
    "confidence": 1.62,
    "few_words": -0.53,
    "trails_off": -0.55,
}
"""What each feature adds to the score."""

_Table = tuple[tuple[float, int], ...]

_BALANCED: _Table = ((-3.0, 1_400), (-0.5, 950), (0.6, 900), (1.0, 160))
"""Silence that is needed at a score, straight lines between. Pauses of up to 900 ms are common in
the middle of a request, so that little is won between the surely over and those 900 ms."""
_QUICK: _Table = ((-4.0, 1_000), (-0.5, 940), (0.6, 550), (0.9, 160))
_SILENCE_MS: dict[Eagerness, _Table] = {
    "high": _QUICK,
    "medium": _BALANCED,
    "auto": _BALANCED,
    "low": tuple((least + 1.0, silence_ms) for least, silence_ms in _BALANCED),
}
_UNREAD_LEAST_MS: dict[Eagerness, int] = {"high": 400, "medium": 480, "auto": 480, "low": 900}
"""Needed at least while the language model has not spoken; of complete words alone, of which not
even the transcriber's confidence is known, it is enough."""
_COMPLETE_WORDS = 0.2
"""Added to the score then, when the words read complete: with the model's word they tell nothing
more. About what the prior gains when the weights are fitted without the model."""
_DOUBTFUL_SOUND = 0.5
_PAUSES_THAT_TELL = 3
_PAUSE_MARGIN_MS = 100
SURE_MS = 320
"""A turn that ends after so little silence is over, whoever speaks."""

_TELLING_SILENCE_MS = 128
_SOUND_MIDDLE = 2.0
_MODEL_MIDDLE = -2.0
_PHRASE_MIDDLE = -3.0
_CONFIDENCE_MIDDLE = -0.35
"""Between the values of ends and of pauses: as good as not knowing."""
_MOST_SOUND = 4.0
_MOST_MODEL = 7.0
_LEAST_PHRASE = 1e-5
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
    confidence: float = 0.0
    """Mean logarithm of the probabilities of the transcript's tokens; 0: not known."""
    message_end: float | None = None
    """The language model's probability that the message ends with the transcript."""
    pauses_ms: Sequence[int] = ()
    """Earlier pauses inside this speaker's turns."""
    language: str = ""
    phrase_end: float | None = None
    """The language model's probability that a comma or a joining word comes next."""


class Verdict(NamedTuple):
    """The silence that ends the turn, and what that was decided from."""

    silence_ms: int
    reason: str


def weigh(
    evidence: Evidence,
    eagerness: Eagerness,
    least_silence_ms: int,
    *,
    weights: Mapping[str, float] = WEIGHTS,
    bias: float = 0.0,
) -> Verdict:
    """Return the silence that ends the turn by what is known now.

    It lies between `least_silence_ms` and the hard end of the eagerness. `bias` is added to the
    score.
    """
    hard_end_ms = HARD_END_MS[eagerness]
    known = {
        "sound": bool(evidence.soundings),
        "words": bool(evidence.transcript),
        "model": evidence.message_end is not None,
    }
    if not (known["sound"] or known["model"] or _may_be_complete(evidence)):
        return Verdict(hard_end_ms, "silence")
    total, least_ms = score(evidence, weights) + bias, 0
    if not known["model"]:
        total += _COMPLETE_WORDS * _may_be_complete(evidence)
        least_ms = _UNREAD_LEAST_MS[eagerness]
    words_alone = not (known["sound"] or known["model"] or evidence.confidence)
    by_score_ms = least_ms if words_alone else _silence_ms(total, _SILENCE_MS[eagerness])
    needed_ms = max(by_score_ms, least_ms)
    needed_ms = _for_speaker(needed_ms, evidence.pauses_ms, least_silence_ms)
    reason = "+".join(name for name, there in known.items() if there)
    return Verdict(min(max(needed_ms, least_silence_ms), hard_end_ms), reason)


def score(evidence: Evidence, weights: Mapping[str, float] = WEIGHTS) -> float:
    """Return the logarithm of the odds that the turn is over."""
    return sum(weights[name] * value for name, value in features(evidence).items())


def features(evidence: Evidence) -> dict[str, float]:
    """Return what the score is made of; all but the prior are 0 where nothing is known."""
    values = dict.fromkeys(WEIGHTS, 0.0)
    values["prior"] = 1.0
    if evidence.soundings:
        # In a longer silence the model says "finished" of everything.
        early = [one for one in evidence.soundings if one.silence_ms <= _TELLING_SILENCE_MS]
        odds = [_log_odds(one.probability, _MOST_SOUND) for one in early or evidence.soundings[:1]]
        values["sound"] = sum(odds) / len(odds) - _SOUND_MIDDLE
    if evidence.message_end is not None:
        values["model"] = _log_odds(evidence.message_end, _MOST_MODEL) - _MODEL_MIDDLE
    if evidence.phrase_end is not None:
        # Not the odds: nearly certain is hardly more than probable.
        values["phrase_end"] = math.log(max(evidence.phrase_end, _LEAST_PHRASE)) - _PHRASE_MIDDLE
    if evidence.transcript:
        if evidence.confidence:
            values["confidence"] = max(evidence.confidence, -1.0) - _CONFIDENCE_MIDDLE
        values["few_words"] = float(len(words(evidence.transcript)) <= _FEW)
        values["trails_off"] = float(trails_off(evidence.transcript))
    return values


def _may_be_complete(evidence: Evidence) -> bool:
    """Tell whether the words read complete and the sound does not speak against it."""
    heard = [one.probability for one in evidence.soundings]
    if heard and max(heard) < _DOUBTFUL_SOUND:
        return False
    text, english = evidence.transcript or "", evidence.language in ("", "en")
    return reads_complete(text) if english else bool(words(text)) and ends_in_mark(text)


def _for_speaker(needed_ms: int, pauses_ms: Sequence[int], least_silence_ms: int) -> int:
    """Return more where the speaker is known to pause for longer, unless the turn is over."""
    if len(pauses_ms) < _PAUSES_THAT_TELL or needed_ms <= max(least_silence_ms, SURE_MS):
        return needed_ms
    longest_ms = sorted(pauses_ms)[-(len(pauses_ms) // 4 + 1)]
    return max(needed_ms, longest_ms + _PAUSE_MARGIN_MS)


def _silence_ms(total: float, table: _Table) -> int:
    """Return the silence needed at a score."""
    (low, most_ms), *rest = table
    if total <= low:
        return most_ms
    for high, least_ms in rest:
        if total <= high:
            return round(most_ms + (least_ms - most_ms) * (total - low) / (high - low))
        low, most_ms = high, least_ms
    return most_ms


def _log_odds(probability: float, most: float) -> float:
    probability = min(max(probability, 1e-9), 1 - 1e-9)
    return min(max(math.log(probability / (1 - probability)), -most), most)
