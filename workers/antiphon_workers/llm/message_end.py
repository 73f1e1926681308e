"""How probable it is that a message ends after its last word, by the model's next token. Pure."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

CANDIDATES = 64
"""Tokens whose probability is asked for; what they leave is a few thousandths."""

_MARKS = ".?!\u2026"
_JOINTS = frozenset([",", "and", "or", "but"])
_SENTENCE_ENDS = frozenset([".", "?", "!", "...", "\u2026"])


def without_end_mark(text: str) -> str:
    """Return a message up to its last word.

    A transcriber that heard a pause writes an end mark, so the mark tells nothing about the words.
    """
    return text.rstrip().rstrip(_MARKS).rstrip()


def end_probability(candidates: Iterable[Mapping[str, Any]], end_token: int | None) -> float:
    """Return the probability that an end mark, a line break or the end of the message comes next.

    `candidates`: next tokens, each with `id`, `token` (its text) and `logprob`. On transcripts of
    people's speech the sum tells their ends from cuts between two of their words better (area under
    the curve 0.94) than the end of the message alone does (0.79): models write the mark first.
    """
    return math.fsum(
        math.exp(candidate["logprob"])
        for candidate in candidates
        if candidate["id"] == end_token
        or "\n" in candidate["token"]
        or candidate["token"].strip() in _SENTENCE_ENDS
    )


def phrase_end_probability(candidates: Iterable[Mapping[str, Any]]) -> float:
    """Return the probability that a comma or a joining word comes next: that a phrase has ended.

    With it, ends of orders and pauses in them are told apart with an area under the curve of 0.97
    instead of 0.94.
    """
    return math.fsum(
        math.exp(candidate["logprob"])
        for candidate in candidates
        if candidate["token"].strip().lower() in _JOINTS
    )
