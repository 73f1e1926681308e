"""Which phonemes of a sentence speak which of its words. Pure.

A phonemizer merges words ("of the" is one group), spells numbers out and reduces what it says in
full when it is alone. So every word's own phonemes are laid along the sentence's, with the fewest
and mildest changes (Needleman & Wunsch 1970): a word may end anywhere, most likely at a space.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

WORD_END = "|"
_GAPS = frozenset(" ,.?!:;")
_IGNORED = frozenset("ˈˌːˑʲʰ'-")
_VOWELS = frozenset("aeiouyæɐɑɒɔəɘɚɛɜɝɞɤɨɪɯɵøœɶʉʊʌᵻ")

_MERGED = 0.3
"""Cost of a word that ends where the sentence has no space, or of a space within a word."""
_CHANGED_VOWEL = 0.4
_CHANGED = 0.9
_UNLIKE = 1.6
_NEVER = 3.0
_WELL_MATCHED = 0.5
"""Share of a word's phonemes that must be found for its place to be believed."""


class Span(NamedTuple):
    """A word's phonemes in a sentence: from `start` up to `end`, which may be equal."""

    start: int
    end: int


class _Symbols(NamedTuple):
    """The symbols that count, with the place of each in what they were taken from."""

    symbols: list[str]
    places: list[int]


def align(words: Sequence[tuple[int, Sequence[str]]], phonemes: Sequence[str]) -> list[Span]:
    """Return the span of each word in `phonemes`, in order and without overlap.

    A word is its length in characters and the phonemes it has when it is said alone. Words that are
    not recognised in the sentence share the phonemes between their neighbours by their lengths.
    """
    if not words:
        return []
    alone, owners = _alone(words)
    heard = _symbols(phonemes)
    pairs = _pairs(alone, heard.symbols)
    ends, found = _word_ends(pairs, alone, owners, heard, len(words), len(phonemes))
    spans = _trimmed(ends, phonemes)
    spoken = [sum(symbol not in _GAPS for symbol in _symbols(said).symbols) for _, said in words]
    believed = [
        count == 0 or matched >= _WELL_MATCHED * count
        for count, matched in zip(spoken, found, strict=True)
    ]
    return _shared(spans, believed, [length for length, _ in words], phonemes)


def _symbols(phonemes: Sequence[str]) -> _Symbols:
    kept = [
        (symbol, place)
        for place, symbol in enumerate(phonemes)
        if symbol not in _IGNORED and not "\u0300" <= symbol <= "\u036f"
    ]
    return _Symbols([symbol for symbol, _ in kept], [place for _, place in kept])


def _alone(words: Sequence[tuple[int, Sequence[str]]]) -> tuple[list[str], list[int]]:
    """Return the phonemes of the words one after the other, and which word each belongs to."""
    symbols: list[str] = []
    owners: list[int] = []
    for number, (_, said) in enumerate(words):
        own = "".join(symbol if symbol not in _GAPS else " " for symbol in _symbols(said).symbols)
        own_symbols = [*" ".join(own.split()), WORD_END]
        symbols += own_symbols
        owners += [number] * len(own_symbols)
    return symbols, owners


def _change_cost(alone: str, heard: str) -> float:
    if alone == heard:
        return 0.0
    if alone in (WORD_END, " ") or heard in _GAPS:
        if alone == WORD_END and heard in _GAPS:
            return 0.0
        return _MERGED if alone == " " and heard in _GAPS else _NEVER
    vowels = (alone in _VOWELS) + (heard in _VOWELS)
    return (_CHANGED, _UNLIKE, _CHANGED_VOWEL)[vowels]


def _skip_cost(symbol: str) -> float:
    if symbol in (WORD_END, " "):
        return _MERGED
    return 0.05 if symbol in _GAPS else 1.0


def _pairs(alone: list[str], heard: list[str]) -> list[tuple[int, int | None]]:
    """Return for each symbol of `alone` the index in `heard` it is laid on, with where it stands.

    A pair is (symbols of `heard` used up, the one it is laid on or None when it is left out).
    """
    rows, columns = len(alone), len(heard)
    kinds = sorted({*alone})
    table = {kind: np.array([_change_cost(kind, symbol) for symbol in heard]) for kind in kinds}
    skips = np.concatenate([[0.0], np.cumsum([_skip_cost(symbol) for symbol in heard])])
    costs = np.empty((rows + 1, columns + 1))
    costs[0] = skips
    for row, symbol in enumerate(alone):
        best = costs[row] + _skip_cost(symbol)
        np.minimum(best[1:], costs[row, :-1] + table[symbol], out=best[1:])
        costs[row + 1] = np.minimum.accumulate(best - skips) + skips
    return _traced(costs, alone, table)


def _traced(
    costs: "np.ndarray[Any, Any]", alone: list[str], table: dict[str, Any]
) -> list[tuple[int, int | None]]:
    """Walk the cheapest way back from its end."""
    pairs: list[tuple[int, int | None]] = []
    row, column = costs.shape[0] - 1, costs.shape[1] - 1
    while row:
        symbol, here = alone[row - 1], costs[row, column] + 1e-9
        if column and costs[row - 1, column - 1] + table[symbol][column - 1] <= here:
            pairs.append((column, column - 1))
            row, column = row - 1, column - 1
        elif costs[row - 1, column] + _skip_cost(symbol) <= here:
            pairs.append((column, None))
            row -= 1
        else:
            column -= 1
    return pairs[::-1]


def _word_ends(
    pairs: list[tuple[int, int | None]],
    alone: list[str],
    owners: list[int],
    heard: _Symbols,
    words: int,
    length: int,
) -> tuple[list[int], list[int]]:
    """Return where each word ends among the phonemes, and how many of its own were found."""
    ends: list[int] = []
    found = [0] * words
    for (used, laid_on), symbol, owner in zip(pairs, alone, owners, strict=True):
        if symbol != WORD_END:
            same = laid_on is not None and _change_cost(symbol, heard.symbols[laid_on]) < _CHANGED
            found[owner] += same and symbol != " "
            continue
        place = laid_on if laid_on is not None else used
        ends.append(heard.places[place] if place < len(heard.places) else length)
    ends[-1] = length
    return ends, found


def _trimmed(ends: list[int], phonemes: Sequence[str]) -> list[Span]:
    """Return the stretches between the ends without the spaces and marks around them."""
    spans: list[Span] = []
    start = 0
    for end in ends:
        spans.append(_without_gaps(Span(start, end), phonemes))
        start = max(start, end)
    return spans


def _without_gaps(span: Span, phonemes: Sequence[str]) -> Span:
    start, end = span
    while end > start and phonemes[end - 1] in _GAPS:
        end -= 1
    while start < end and phonemes[start] in _GAPS:
        start += 1
    return Span(start, end)


def _shared(
    spans: list[Span], believed: list[bool], lengths: list[int], phonemes: Sequence[str]
) -> list[Span]:
    """Give each run of words whose places are not believed the run's phonemes by length."""
    shared = list(spans)
    number = 0
    while number < len(spans):
        stop = number + 1
        if not believed[number]:
            while stop < len(spans) and not believed[stop]:
                stop += 1
            run = Span(spans[number].start, spans[stop - 1].end)
            first, last = _without_gaps(run, phonemes)
            total, passed = sum(lengths[number:stop]), 0
            for place in range(number, stop):
                start = first + (last - first) * passed // total
                passed += lengths[place]
                shared[place] = Span(start, first + (last - first) * passed // total)
        number = stop
    return shared
