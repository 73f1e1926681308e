"""A folder of text files, searched by words (BM25)."""

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import bm25s
from bm25s.stopwords import STOPWORDS_EN

from antiphon_gateway.retrieval.passage import MAX_TEXT_CHARACTERS, Passage
from antiphon_proto.config import Retrieval
from antiphon_proto.errors import StartupError

SUFFIXES = frozenset({".md", ".txt"})
MAX_FILES = 2_000
MAX_FILE_BYTES = 1024 * 1024
MAX_ALL_BYTES = 32 * 1024 * 1024
LOOK_AGAIN_S = 2.0
"""The folder is not looked at more often for changes."""
_WORD = re.compile(r"\w+")
_PARAGRAPHS = re.compile(r"\n\s*\n")
_SHORTEST_PLURAL = 4

_State = tuple[tuple[Path, int, int], ...]
"""Path, time of change in nanoseconds and size of every file."""


class FolderRetriever:
    """The passages of all `.txt` and `.md` files below a folder; read again when one changes."""

    def __init__(self, settings: Retrieval) -> None:
        """Read the files. Raises StartupError when there is no such folder."""
        self._folder = Path(settings.folder).expanduser()
        if not settings.folder or not self._folder.is_dir():
            raise StartupError(
                f"retrieval.folder is {settings.folder!r}, which is no folder; set it to one, or "
                'set retrieval.engine to ""'
            )
        self._folder = self._folder.resolve()
        self._lock = threading.Lock()
        self._looked_s = -LOOK_AGAIN_S
        self._state: _State = ()
        self._passages: list[Passage] = []
        self._index: bm25s.BM25 | None = None
        self._refresh()

    def retrieve(self, query: str, top_k: int) -> list[Passage]:
        """Return the passages that share the most telling words with the query, if any does."""
        with self._lock:
            self._refresh()
            index, passages = self._index, self._passages
        if index is None:
            return []
        words = [word for word in words_of(query) if word in index.vocab_dict]
        if not words:
            return []
        found, scores = index.retrieve(
            [words], k=min(top_k, len(passages)), show_progress=False, n_threads=0
        )
        return [
            passages[place] for place, score in zip(found[0], scores[0], strict=True) if score > 0
        ]

    def _refresh(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_AGAIN_S:
            return
        self._looked_s = now_s
        state = tuple(self._look())
        if state == self._state:
            return
        self._state = state
        self._passages = [
            Passage(path.relative_to(self._folder).as_posix(), text)
            for path, _, _ in state
            for text in passages_of(_read(path))
        ]
        self._index = None
        tokens = [words_of(f"{passage.source} {passage.text}") for passage in self._passages]
        if any(tokens):
            self._index = bm25s.BM25()
            self._index.index(tokens, show_progress=False)

    def _look(self) -> Iterator[tuple[Path, int, int]]:
        """Yield the files to read. What a link leads to outside the folder is not read."""
        room_bytes, count = MAX_ALL_BYTES, 0
        for path in sorted(self._folder.rglob("*")):
            if path.suffix.lower() not in SUFFIXES:
                continue
            try:
                if not path.resolve().is_relative_to(self._folder) or not path.is_file():
                    continue
                status = path.stat()
            except OSError:
                continue
            if status.st_size > MAX_FILE_BYTES or status.st_size > room_bytes:
                continue
            room_bytes -= status.st_size
            count += 1
            if count > MAX_FILES:
                return
            yield path, status.st_mtime_ns, status.st_size


def words_of(text: str) -> list[str]:
    """Return the words that tell something, in lower case, without the English plural."""
    words = [word for word in _WORD.findall(text.lower()) if word not in STOPWORDS_EN]
    return [
        word[:-1] if len(word) >= _SHORTEST_PLURAL and word.endswith("s") else word
        for word in words
    ]


def passages_of(text: str) -> Iterator[str]:
    """Yield a text in passages: whole paragraphs as far as they fit, long ones cut at spaces."""
    held = ""
    for paragraph in _PARAGRAPHS.split(text):
        piece = " ".join(paragraph.split())
        if held and len(held) + 1 + len(piece) > MAX_TEXT_CHARACTERS:
            yield held
            held = ""
        while len(piece) > MAX_TEXT_CHARACTERS:
            cut = piece.rfind(" ", 1, MAX_TEXT_CHARACTERS)
            cut = cut if cut > 0 else MAX_TEXT_CHARACTERS
            yield piece[:cut]
            piece = piece[cut:].strip()
        held = f"{held} {piece}".strip()
    if held:
        yield held


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
