"""The words of a text, laid on the words that were spoken for them. Pure.

Text for speech differs from its original in markup, symbols and numbers. Words that are the same in
both are each other's; between two such words, as many originals as spoken words pair up in order,
and otherwise the originals share the time of the spoken words by their lengths. What is spoken
beside an original word belongs to it.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

_WORD = re.compile(r"\S+\s*")


class Timed(NamedTuple):
    """A word of the spoken text: where it ends there, and its samples."""

    end_character: int
    start: int
    end: int


class TextWord(NamedTuple):
    """A word of the original text: where it ends, with the spaces behind it, and its samples."""

    end_character: int
    start: float
    end: float


def placed_words(text: str, speech: str, times: Sequence[Timed]) -> list[TextWord]:
    """Return the words of `text` as far as `times`, in order, cover the words of `speech`."""
    words = list(_WORD.finditer(text))
    spoken = [word.group().strip() for word in _WORD.finditer(speech)]
    spans = _spans(speech, times)
    placed: list[TextWord] = []
    last = 0.0
    for first, stop, begin, end in _blocks([word.group() for word in words], spoken):
        if end > len(spans):
            break
        start = float(spans[begin].start) if begin < end else last
        finish = float(spans[end - 1].end) if begin < end else last
        total, passed = sum(len(word.group()) for word in words[first:stop]), 0
        for word in words[first:stop]:
            word_start = start + (finish - start) * passed / total
            passed += len(word.group())
            last = start + (finish - start) * passed / total
            placed.append(TextWord(word.end(), word_start, last))
    return placed


def _spans(speech: str, times: Sequence[Timed]) -> list[Timed]:
    """Return the time of each word of `speech` up to the first that has none yet."""
    spans: list[Timed] = []
    place = 0
    for word in _WORD.finditer(speech):
        end_character = word.start() + len(word.group().rstrip())
        own = []
        while place < len(times) and times[place].end_character <= end_character:
            own.append(times[place])
            place += 1
        if not own:
            break
        spans.append(Timed(end_character, own[0].start, own[-1].end))
    return spans


def _blocks(words: list[str], spoken: list[str]) -> list[tuple[int, int, int, int]]:
    """Return stretches of `words`, each with the stretch of `spoken` that says it."""
    wanted, said = [_bare(word) for word in words], [_bare(word) for word in spoken]
    if wanted == said:  # as nearly always, and a matcher takes ten times as long to say so
        return [(at, at + 1, at, at + 1) for at in range(len(said))]
    matcher = SequenceMatcher(None, wanted, said, autojunk=False)
    blocks: list[tuple[int, int, int, int]] = []
    for _, first, stop, begin, end in matcher.get_opcodes():
        if stop - first == end - begin:
            blocks += [
                (first + step, first + step + 1, begin + step, begin + step + 1)
                for step in range(stop - first)
            ]
        elif first < stop:
            blocks.append((first, stop, begin, end))
        elif blocks:
            blocks[-1] = (*blocks[-1][:3], end)
    return blocks


def _bare(word: str) -> str:
    """Return a word without case and without what is not spoken around it."""
    return "".join(filter(str.isalnum, word)).lower()
