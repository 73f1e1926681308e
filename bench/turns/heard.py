"""Pure: the words that history keeps of an interrupted reply against the words that were heard."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from bench.turns.sound import Word

UNCERTAIN_MS = 25.0
"""How far off the middle of a word may be that `word_timer.py` finds (measured: 23 ms at most)."""


class HistoryError(NamedTuple):
    """Words kept, words heard, and by how many they differ."""

    kept: int
    heard: int
    error: int
    """Words too many (positive) or too few (negative), as far as it is certain."""
    strict: int
    """The same, with every word that is in doubt decided by its measured middle."""


def words_heard(words: Sequence[Word], played_ms: float) -> int:
    """Return how many words were heard: a word is when at least half of it was played."""
    return sum((word.start_ms + word.end_ms) / 2 <= played_ms for word in words)


def history_error(kept: str, words: Sequence[Word], played_ms: float) -> HistoryError:
    """Compare the text kept with the words of a reply of which `played_ms` were played.

    A text kept that is not the beginning of the reply counts every word after the first difference
    as kept too many.
    """
    known = [_plain(word.text) for word in words]
    plain = [_plain(word) for word in kept.split()]
    strict_heard = words_heard(words, played_ms)
    least = words_heard(words, played_ms - UNCERTAIN_MS)
    most = words_heard(words, played_ms + UNCERTAIN_MS)
    if plain != known[: len(plain)]:
        right = sum(1 for _ in _common(plain, known))
        wrong = max(len(plain) - right, abs(right - strict_heard), 1)
        return HistoryError(len(plain), strict_heard, wrong, wrong)
    count = len(plain)
    error = count - most if count > most else count - least if count < least else 0
    return HistoryError(count, strict_heard, error, count - strict_heard)


def _common(one: Sequence[str], other: Sequence[str]) -> list[str]:
    found: list[str] = []
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        found.append(a)
    return found


def _plain(word: str) -> str:
    return re.sub(r"[^\w']", "", word.lower())
