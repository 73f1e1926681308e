"""Model text to the text that is spoken: no markup, no emoji, no thoughts, symbols as words."""

import re
import unicodedata
from collections.abc import Callable
from urllib.parse import urlsplit

from antiphon_gateway.english import read_aloud

_THOUGHT_TAGS = ("think", "thinking", "thought", "reasoning")
_OPEN_TAGS = tuple(f"<{name}>" for name in _THOUGHT_TAGS)
_TAGS = _OPEN_TAGS + tuple(f"</{name}>" for name in _THOUGHT_TAGS)
_TAG = re.compile("|".join(_TAGS), re.IGNORECASE)


class ThinkingFilter:
    """Removes `<think>...</think>` from a stream of deltas, wherever the deltas are cut."""

    def __init__(self) -> None:
        self._held = ""
        self._is_thought = False
        self._is_start = False

    def feed(self, delta: str) -> str:
        """Return what of the text so far is new, certain and no thought."""
        text = self._held + delta
        spoken: list[str] = []
        while tag := _TAG.search(text):
            self._add(spoken, text[: tag.start()])
            self._is_thought = tag.group().lower() in _OPEN_TAGS
            self._is_start = not self._is_thought
            text = text[tag.end() :]
        certain = len(text) - _partial_tag_length(text)
        self._add(spoken, text[:certain])
        self._held = text[certain:]
        return "".join(spoken)

    def finish(self) -> str:
        """Return what was held back because a tag might have begun there."""
        spoken: list[str] = []
        self._add(spoken, self._held)
        self._held = ""
        return "".join(spoken)

    def _add(self, spoken: list[str], text: str) -> None:
        if self._is_thought:
            return
        if self._is_start:
            text = text.lstrip()
            self._is_start = not text
        spoken.append(text)


def _partial_tag_length(text: str) -> int:
    """Return the length of the end of `text` that may be the beginning of a tag."""
    start = text.rfind("<")
    if start < 0:
        return 0
    end = text[start:].lower()
    return len(end) if any(tag.startswith(end) for tag in _TAGS) else 0


def speakable(text: str, language: str = "en") -> str:
    """Return what text to speech shall say of one clause or message; empty when it is nothing.

    Code blocks are left out, links are their label, addresses their host. Symbols, abbreviations,
    dates and units become words in English; in other languages they are left to the engine.
    """
    text = _without_thoughts(text)
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    if language == "en":
        text = read_aloud(text)
    text = "".join(filter(_is_speakable_character, text)).strip()
    for pattern, replacement in _TIDY:
        text = pattern.sub(replacement, text)
    text = text.strip()
    return text if any(map(str.isalnum, text)) else ""


def _without_thoughts(text: str) -> str:
    if "<" not in text:
        return text
    thinking = ThinkingFilter()
    return thinking.feed(text) + thinking.finish()


def _host(match: re.Match[str]) -> str:
    """Speak an address as its host; what merely follows the address stays."""
    address = match.group().rstrip(".,;:!?)'\"*_")
    rest = match.group()[len(address) :]
    try:
        host = urlsplit(address if "://" in address else f"https://{address}").hostname or ""
    except ValueError:
        host = ""
    return host.removeprefix("www.") + rest


_Replacement = str | Callable[[re.Match[str]], str]
_Rules = tuple[tuple[re.Pattern[str], _Replacement], ...]

_TABLE_RULE = r"^ ?\|? ?:?-{2,}:? ?(?:\| ?:?-{2,}:? ?)*\|? ?$"

_MARKUP: _Rules = (
    (re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL), "\n"),
    (re.compile(r"[^\S\n]+"), " "),
    (re.compile(r"(?: ?\n ?)+"), "\n"),
    (re.compile(r"`([^`\n]*)`"), r"\1"),
    (
        re.compile(
            r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\([^()]*\)[^()\s]*)?(?:\s[^()]*)?\)|\[[^\]]*\])"
        ),
        r"\1",
    ),
    (re.compile(r"<(https?://[^<>\s]+)>"), r"\1"),
    (re.compile(r"</?[a-zA-Z][^<>]*>|<!--.*?-->", re.DOTALL), " "),
    (re.compile(r"\b(?:https?://|ftp://|www\.)[^\s<>\[\]|]+", re.IGNORECASE), _host),
    (re.compile(r"(?<![\w@.])[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,3}/[^\s<>\[\]|]*"), _host),
    (re.compile(r"^ ?(?:[-*_] ?){3,}$", re.MULTILINE), ""),
    (re.compile(_TABLE_RULE, re.MULTILINE), ""),
    (re.compile(r"^(?: ?>)+ ?", re.MULTILINE), ""),
    (re.compile(r"^ ?#{1,6}\s+| #+ ?$", re.MULTILINE), ""),
    (re.compile(r"^ ?[-*+•‣◦]\s+(?:\[[ xX]\]\s+)?", re.MULTILINE), ""),
    (re.compile(r"^ ?\| ?| ?\| ?$", re.MULTILINE), ""),
    (re.compile(r" ?\| ?"), ", "),
    (re.compile(r"(?<=\d)\s*\*\s*(?=\d)"), " × "),
    (re.compile(r"\\([\\`*_{}\[\]()#+.!|>~-])"), r"\1"),
    (re.compile(r"\*+|~~+|`+|(?<!\w)_+|_+(?!\w)"), ""),
    (re.compile(r"_"), " "),
)

_TIDY: _Rules = (
    (re.compile(r"(?<!\w)\u200d|\u200d(?!\w)"), ""),
    (re.compile(r"[^\S\n]+"), " "),
    (re.compile(r"(?<=\w) ?\s*\n\s*"), ". "),
    (re.compile(r"\s*\n\s*"), " "),
    (re.compile(r"\.{4,}"), "..."),
    (re.compile(r"([!?,;:])(?:\s?[!?,;:])+"), r"\1"),
    (re.compile(r"-{2,}"), "—"),
    (re.compile(r"\(\s*\)|\[\s*\]|\{\s*\}"), ""),
    (re.compile(r"[{}\[\]\\<>^]"), " "),
    (re.compile(r"\s+([,.;:!?])"), r"\1"),
    (re.compile(r" {2,}"), " "),
    (re.compile(r"^[\s,;:.!?)—]+"), ""),
)

_KEPT_SYMBOLS = frozenset("°©®™№")
_JOINERS = frozenset("\u200c\u200d")
_REMOVED_MARKS = frozenset("\ufe0e\ufe0f\u20e3") | {chr(code) for code in range(0x1F3FB, 0x1F400)}


def _is_speakable_character(character: str) -> bool:
    """Tell whether a character is none of emoji, other pictures, and control characters."""
    if character.isascii():
        return character.isprintable() or character in "\t\n"
    if character in _KEPT_SYMBOLS or character in _JOINERS:
        return True
    category = unicodedata.category(character)
    return category[0] != "C" and category != "So" and character not in _REMOVED_MARKS
