"""Streamed model text to speakable clauses: the first one early, later ones whole sentences.

A cut is decided by the text up to it, the little that must follow it and whether there is hurry,
never by how the text was cut into deltas. Nothing is lost or moved: the clauses joined are the
text.
"""

import re
from collections.abc import Iterator

import sentencex

MAX_CLAUSE_CHARACTERS = 200
"""Longer text is cut at a space. Only a code block, which is one clause, may be longer."""

_COMMA_WORDS = 2
"""Words before the comma at which the first clause may end."""

PHRASE_WORDS = 4
"""Words after which the first clause ends even without punctuation, before a word that joins."""

_HURRIED_PHRASE_WORDS = 5
"""The same for a later clause that is cut in a hurry; it has as many before a comma."""

_EAGER_WORDS = 3
"""A shorter clause is over before the next sentence is made, so that one is cut early too."""

_LONG_SENTENCE_CHARACTERS = 100
"""A sentence longer than this is cut at its commas."""

_LOOKAHEAD_CHARACTERS = 20
"""All candidates in a text are known when so many more characters have come."""

_JOINING_WORDS = (
    *("and", "but", "or", "because", "so", "which", "that", "when", "while", "if", "where", "who"),
    *("although", "until", "before", "after", "since", "with", "without", "for", "in", "on", "at"),
    *("from", "by", "about", "into", "through", "between", "during"),
)
_VERBS = (
    *("is", "are", "was", "were", "has", "have", "had", "can", "could", "will", "would", "should"),
    *("may", "might", "must", "depends", "involves", "includes", "refers", "lies", "means"),
)
"""Verbs that begin what is said of a subject."""

_SUBJECTS = frozenset(
    [
        *("i", "he", "she", "we", "they", "what", "which", "who", "where", "when", "how"),
        *("it", "you", "this", "that", "these", "those", "there", "here", "one", "some"),
    ]
)
_OBJECTS = frozenset(["it", "you", "this", "that", "these", "those", "there", "here", "one"])
_LEANING_WORDS = frozenset(
    [
        *(*_JOINING_WORDS, *_VERBS, *_SUBJECTS, "the", "a", "an", "to", "of", "as", "not", "no"),
        *("my", "your", "his", "her", "its", "our", "their", "am", "be", "been", "do", "does"),
        *("did", "than", "very", "more", "most", "such", "like", "any", "every", "each", "all"),
        *("also", "usually", "generally", "often", "always", "never", "really", "quite", "just"),
    ]
)
"""Words that are not spoken apart from what follows them; `_OBJECTS` may be, if no verb does."""

_BEFORE_TO = frozenset(["want", "wants", "need", "needs", "try", "going", "able", "used", "ought"])
_PAIRED = frozenset(["between", "both", "either", "neither"])
"""Words whose two parts are not cut apart at "and" or "or"."""

_CLOSERS = r"""(?:(?!```)["')\]}’”»*_`])*"""
_CANDIDATE = re.compile(
    rf"""
      (?P<code>`{{3,}})
    | (?P<line>\n)
    | (?P<sentence>[.!?؟।॥]+{_CLOSERS}(?=\s)|[。！？]+[」』”’）》】]*)
    | (?P<comma>[,;:،؛…]{_CLOSERS}(?=\s)|[，；：、]|—|(?<=\s)[-–](?=\s))
    | (?P<phrase>(?<=\s)(?:{"|".join((*_JOINING_WORDS, *_VERBS, "to"))})(?=\s))
    """,
    re.VERBOSE,
)
_IDEOGRAPH = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_IDEOGRAPH}]|[^\W_][^\s{_IDEOGRAPH}]*")
_LIST_NUMBER = re.compile(r"\W*\d+\W*")
_CODE_END = re.compile(r".*?```\s*", re.DOTALL)
_SPACES = re.compile(r"\s*")
_NEXT_WORD = re.compile(rf"\S{{1,{_LOOKAHEAD_CHARACTERS}}}")


_CLOSED = re.compile(r"(?:[.!?؟।॥。！？:;]\W*|[^\S\n]*\n\s*|```\s*)$")


def is_open(clause: str) -> bool:
    """Tell whether the sentence goes on after a clause."""
    return _CLOSED.search(clause) is None


class ClauseSplitter:
    """Cuts the text of one response into clauses."""

    def __init__(self, language: str = "en", phrase_words: int = PHRASE_WORDS) -> None:
        """`language` is the ISO 639-1 code whose abbreviations are known; others fall back."""
        self._language = language
        self._phrase_words = phrase_words
        self._text = ""
        self._refused_until = 0
        self._eager = True
        self._hurried = False

    @property
    def rest(self) -> str:
        """The text that is in no clause yet."""
        return self._text

    def hurry(self, hurried: bool) -> list[str]:
        """Cut later clauses early too, or no longer; return those that this completes."""
        if hurried == self._hurried:
            return []
        self._hurried = hurried
        self._refused_until = 0
        return list(self._clauses(final=False)) if hurried else []

    def feed(self, delta: str) -> list[str]:
        """Add text; return the clauses that are now complete, with the spaces after them."""
        self._text += delta
        return list(self._clauses(final=False))

    def finish(self) -> list[str]:
        """Return the clauses that are left. Call it once, after the last delta."""
        clauses = list(self._clauses(final=True))
        if self._text.strip():
            clauses.append(self._text)
        self._text = ""
        return clauses

    def _clauses(self, *, final: bool) -> Iterator[str]:
        while cut := self._next_cut(final=final):
            clause, self._text = self._text[:cut], self._text[cut:]
            self._refused_until = 0
            if _count_words(clause) >= _EAGER_WORDS:
                self._eager = False
            yield clause

    def _next_cut(self, *, final: bool) -> int:
        """Return where the next clause ends, 0 when more text is needed to tell."""
        for match in _CANDIDATE.finditer(self._text, self._refused_until):
            is_first = not self._text[: match.start()].strip()
            if match.lastgroup == "code" and is_first:
                return self._code_cut(match.end())
            if match.end() > MAX_CLAUSE_CHARACTERS:
                break
            if is_first:
                continue
            cut = match.start()
            if match.lastgroup not in ("phrase", "code"):
                cut = _SPACES.match(self._text, match.end()).end()  # type: ignore[union-attr]
                if cut == len(self._text) or self._text[cut:] in ("`", "``"):
                    return 0
            accepted = self._accepts(match, cut, final=final)
            if accepted is None:
                return 0
            if accepted:
                return cut
            self._refused_until = match.end()
        return self._forced_cut(final=final)

    def _accepts(self, match: re.Match[str], cut: int, *, final: bool) -> bool | None:
        """Tell whether to cut at a candidate; None when the next word must be known first."""
        head = self._text[: match.end()]
        if match.lastgroup in ("line", "code"):
            return True
        if not _is_balanced(head):
            return False
        if match.lastgroup == "sentence":
            if _LIST_NUMBER.fullmatch(head):
                return False
            return self._ends_sentence(match, cut, final=final)
        if match.lastgroup == "phrase":
            return self._ends_phrase(match)
        if self._text[match.start() - 1] == "." or _is_between_digits(self._text, match, cut):
            return False
        if match.end() > _LONG_SENTENCE_CHARACTERS:
            return True
        words = _COMMA_WORDS if self._eager else _HURRIED_PHRASE_WORDS
        return (self._eager or self._hurried) and _count_words(head) >= words

    def _ends_phrase(self, match: re.Match[str]) -> bool:
        """Tell whether the text before a joining word can be spoken before more is known."""
        if not self._eager and not self._hurried:
            return False
        before = [word.lower() for word in _WORD.findall(self._text[: match.start()])]
        words = self._phrase_words if self._eager else _HURRIED_PHRASE_WORDS
        is_open = not self._text[: match.start()].rstrip().endswith(".")
        return len(before) >= words and is_open and _can_part(before, match[0])

    def _ends_sentence(self, match: re.Match[str], cut: int, *, final: bool) -> bool | None:
        """Ask with the first character of the next word, and if need be with the whole word.

        The word settles abbreviations: "in the U.S. It rained", "in the U.S. Army".
        """
        if self._is_boundary(match.start(), cut, cut + 1):
            return True
        word = _NEXT_WORD.match(self._text, cut)
        end = word.end() if word else cut
        if end == len(self._text) and not final and end - cut < _LOOKAHEAD_CHARACTERS:
            return None
        return self._is_boundary(match.start(), cut, end)

    def _is_boundary(self, start: int, cut: int, end: int) -> bool:
        """Tell whether a sentence ends between `start` and `cut` when the text ends at `end`."""
        position = 0
        for sentence in sentencex.segment(self._language, self._text[:end]):
            position += len(sentence)
            if start < position <= cut:
                return True
        return False

    def _code_cut(self, start: int) -> int:
        """Return the cut behind the code block whose code begins at `start`."""
        if start == len(self._text):
            return 0
        block = _CODE_END.match(self._text, start)
        return block.end() if block and block.end() < len(self._text) else 0

    def _forced_cut(self, *, final: bool) -> int:
        """Return the cut of a text that is too long and has no better place for it."""
        lookahead = 0 if final else _LOOKAHEAD_CHARACTERS
        if len(self._text.rstrip()) <= MAX_CLAUSE_CHARACTERS + lookahead:
            return 0
        words = re.search(r"\S.*\s", self._text[:MAX_CLAUSE_CHARACTERS], re.DOTALL)
        if words:
            return words.end()
        word = re.match(r"\s*\S+\s", self._text[: 2 * MAX_CLAUSE_CHARACTERS])
        if word:
            return word.end()
        enough = final or len(self._text) >= 2 * MAX_CLAUSE_CHARACTERS
        return MAX_CLAUSE_CHARACTERS if enough else 0


def _can_part(before: list[str], word: str) -> bool:
    """Tell whether a speaker could pause between the words `before` and a joining `word`."""
    last = before[-1]
    if word == "to" and last in _BEFORE_TO:
        return False
    if word in ("and", "or", "to") and (last[-1].isdigit() or not _PAIRED.isdisjoint(before)):
        return False
    return last not in _LEANING_WORDS or (last in _OBJECTS and word not in _VERBS)


def _count_words(text: str) -> int:
    return len(_WORD.findall(text))


def _is_balanced(text: str) -> bool:
    """Tell whether no bracket and no inline code is open at the end of `text`."""
    return (
        len(re.findall(r"(?<![:;])\(", text)) <= text.count(")")
        and text.count("[") <= text.count("]")
        and text.count("`") % 2 == 0
    )


def _is_between_digits(text: str, match: re.Match[str], cut: int) -> bool:
    """Tell whether a comma or dash joins two numbers, as in "May 5, 2024" or "5 - 3"."""
    return text[: match.start()].rstrip()[-1:].isdigit() and text[cut].isdigit()
