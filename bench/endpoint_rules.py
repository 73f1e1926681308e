"""When rules of endpointing end a turn, on pauses whose evidence is known. Pure."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from antiphon_gateway.turn_end import SURE_MS, WEIGHTS, Eagerness, Evidence, Sounding, weigh
from antiphon_gateway.turn_end_watch import ASK_BY_MS
from antiphon_gateway.turn_text import reads_complete
from antiphon_proto.config import TurnTaking
from bench.pause_evidence import TRANSCRIBED_AT_MS, Known
from bench.turn_recordings import Pause, Turn

WINDOW_MS = 32
_LAST_MS = 10_000
_ASKED_MS = 64
_LEAST_SOUND = 0.018
"""What the product makes of a lower probability; the same holds for a higher one."""
SOUND_TAKES_MS = 100
WORDS_TAKE_MS = 130
MODEL_TAKES_MS = 60
"""From the question to the answer, as measured in the product on two cores."""
RETRACTABLE_MS = TurnTaking().retraction_ms
"""A turn that goes on so soon after it was ended is taken up again: of an answer that began at
once no more was heard, of a later one less."""


class Judged(NamedTuple):
    """A pause and all that is ever known of it."""

    pause: Pause
    known: Known


class Example(NamedTuple):
    """A turn with its pauses."""

    turn: Turn
    pauses: tuple[Judged, ...]


class Rule(NamedTuple):
    """A rule of endpointing."""

    needed_ms: Callable[[Evidence], int]
    """What is known so far to the silence that is needed."""
    sounds_in_doubt: bool = False
    """The sound is asked for only when the words leave doubt."""
    asked_again_ms: tuple[int, ...] = ()
    """Silences at which it is asked again then."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule did with one turn."""

    cut_in: bool
    """It ended the turn at a pause inside it."""
    retractable: bool
    wait_ms: int
    """Silence after which it ended the turn at its end."""


def unread(example: Example) -> Example:
    """Return a turn of whose pauses the language model says nothing."""
    pauses = tuple(
        Judged(pause, known._replace(message_end=None, phrase_end=None))
        for pause, known in example.pauses
    )
    return example._replace(pauses=pauses)


def silence(needed_ms: int) -> Rule:
    """Return the rule of a fixed silence."""
    return Rule(lambda _: needed_ms)


def complete_words(needed_ms: int, otherwise_ms: int = 2_000) -> Rule:
    """Return the rule that ends a turn early when its words read complete."""
    return Rule(
        lambda evidence: needed_ms if reads_complete(evidence.transcript or "") else otherwise_ms
    )


def sound(threshold: float, otherwise_ms: int) -> Rule:
    """Return the rule that asks once how a pause sounds, at 192 ms or before."""

    def needed(evidence: Evidence) -> int:
        heard = [one for one in evidence.soundings if one.silence_ms == 192]
        return 0 if heard and heard[0].probability > threshold else otherwise_ms

    return Rule(needed)


def policy(
    eagerness: Eagerness = "auto", *, bias: float = 0.0, weights: Mapping[str, float] = WEIGHTS
) -> Rule:
    """Return the product's rule; `bias` is added to its score."""
    least_ms = TurnTaking().least_silence_ms

    def needed(evidence: Evidence) -> int:
        verdict = weigh(evidence, eagerness, least_ms, weights=weights, bias=bias)
        return verdict.silence_ms

    return Rule(needed, sounds_in_doubt=True)


def newest(odds: Sequence[float]) -> float:
    """Return the logarithm of the odds that was heard last."""
    return odds[-1]


def mean(odds: Sequence[float]) -> float:
    """Return the mean of the logarithms of the odds."""
    return sum(odds) / len(odds)


def asked_again(
    rule: Rule, at_ms: tuple[int, ...], combine: Callable[[Sequence[float]], float]
) -> Rule:
    """Return a rule that asks how a pause sounds again while the doubt lasts.

    What `combine` makes of all answers counts as an early one.
    """

    def needed(evidence: Evidence) -> int:
        if evidence.soundings:
            odds = [_log_odds(each.probability) for each in evidence.soundings]
            combined = 1 / (1 + math.exp(-combine(odds)))
            evidence = evidence._replace(soundings=(Sounding(_ASKED_MS, combined),))
        return rule.needed_ms(evidence)

    return Rule(needed, rule.sounds_in_doubt, at_ms)


def _log_odds(probability: float) -> float:
    probability = min(max(probability, _LEAST_SOUND), 1 - _LEAST_SOUND)
    return math.log(probability / (1 - probability))


def judge(rule: Rule, example: Example) -> Outcome:
    """Return what a rule does with a turn."""
    cut_in = retractable = False
    for judged in example.pauses:
        ended_ms = ends_after(rule, judged.known)
        if judged.pause.is_end:
            return Outcome(cut_in, retractable, ended_ms)
        if ended_ms <= judged.pause.length_ms and not cut_in:
            cut_in = True
            retractable = judged.pause.length_ms - ended_ms <= RETRACTABLE_MS
    raise ValueError("the last pause of a turn is its end")


def ends_after(rule: Rule, known: Known) -> int:
    """Return the silence at which a rule ends the turn, in a silence that lasts."""
    arrivals = _arrivals(rule, known)
    # Answers are looked at when they arrive, and all of them at the end of each window.
    moments: list[int] = sorted({*arrivals, *range(WINDOW_MS, _LAST_MS, WINDOW_MS)})
    evidence = Evidence()
    for now_ms in moments:
        evidence = evidence._replace(**arrivals.get(now_ms, {}))
        if now_ms >= TRANSCRIBED_AT_MS and now_ms >= rule.needed_ms(evidence):
            return now_ms
    return _LAST_MS


def _arrivals(rule: Rule, known: Known) -> dict[int, dict[str, Any]]:
    """Return which fields of the evidence become known at which silence."""
    words_ms = TRANSCRIBED_AT_MS + WORDS_TAKE_MS
    words: dict[str, Any] = {"transcript": known.transcript, "confidence": known.confidence}
    model: dict[str, Any] = {"message_end": known.message_end, "phrase_end": known.phrase_end}
    arrivals: dict[int, dict[str, Any]] = {words_ms: words, words_ms + MODEL_TAKES_MS: model}
    if rule.sounds_in_doubt:
        in_doubt = rule.needed_ms(Evidence()._replace(**words, **model)) > SURE_MS
        unread = known.message_end is None
        if unread or in_doubt:
            now_ms = ASK_BY_MS if unread else words_ms + MODEL_TAKES_MS
            heard: tuple[Sounding, ...] = ()
            for one in known.soundings:
                if one.silence_ms not in (known.soundings[0].silence_ms, *rule.asked_again_ms):
                    continue
                heard = (*heard, one)
                now_ms = max(now_ms, one.silence_ms) + SOUND_TAKES_MS
                arrivals[now_ms] = {"soundings": heard}
        return arrivals
    for number, sounding in enumerate(known.soundings, 1):
        at_ms = sounding.silence_ms + SOUND_TAKES_MS
        arrivals.setdefault(at_ms, {})["soundings"] = known.soundings[:number]
    return arrivals
