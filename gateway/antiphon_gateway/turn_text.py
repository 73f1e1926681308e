"""What the words of an utterance say about its end. Pure; the lists are English."""

import re

_HANGING = frozenset(
    re.split(
        r"\s+",
        "a an and because but er erm every i'd i'll i'm if let's my or our so the their uh um very "
        "we'll your",
    )
)
"""Words that end no sentence, or hardly any."""
_HANGING_UNLESS_ASKED = frozenset(
    re.split(r"\s+", "about as at by for from in into of on than to under until with")
)
"""Words that end a question now and then, a statement hardly ever."""
_SENTENCE_END = re.compile(r"[.?!][\"')\]]*$")
_UNFINISHED = re.compile(r"(\.\.\.|…|[,;:\-–—])[\"')\]]*$")
_WORD = re.compile(r"[\w']+")


def words(text: str) -> list[str]:
    """Return the words of a text, lower case, without punctuation."""
    return _WORD.findall(text.lower())


def same_words(one: str, other: str) -> bool:
    """Tell whether two texts have the same words, whatever their marks."""
    return words(one) == words(other)


def without_end_mark(text: str) -> str:
    """Return the text without the mark that the transcriber ended it with, right or wrong."""
    return text.strip().rstrip(".?!…,;:-–—\"' ")


def ends_in_mark(text: str) -> bool:
    """Tell whether the transcriber wrote a full stop, question or exclamation mark at the end."""
    return bool(_SENTENCE_END.search(text)) and not trails_off(text)


def trails_off(text: str) -> bool:
    """Tell whether the transcriber wrote an ellipsis, a comma or a dash at the end."""
    return bool(_UNFINISHED.search(text.strip()))


def hangs(text: str) -> bool:
    """Tell whether the last word calls for another one."""
    said = words(text)
    if not said:
        return False
    asked = text.rstrip("\"') ]").endswith("?")
    return said[-1] in _HANGING or (not asked and said[-1] in _HANGING_UNLESS_ASKED)


def reads_complete(text: str) -> bool:
    """Tell whether a transcript reads finished: it has an end mark and no word left hanging."""
    return bool(words(text)) and ends_in_mark(text) and not hangs(text)
