"""What a retriever is, for those who write one."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

GROUP = "antiphon.retrievers"
"""Entry points of packages that bring one: functions from `config.Retrieval` to a `Retriever`."""
MAX_TEXT_CHARACTERS = 600
MAX_SOURCE_CHARACTERS = 200


class Passage(NamedTuple):
    """A piece of text that may help to answer."""

    source: str
    """Where it stands, for people to read: a file, a title, an address."""
    text: str


class Retriever(Protocol):
    """Finds passages."""

    def retrieve(self, query: str, top_k: int) -> Sequence[Passage]:
        """Return at most `top_k` passages for what the user said, the best first.

        Called on a thread, by several at once. It may raise: then it is answered without.
        """
        ...


def cut(passages: Sequence[Passage], top_k: int) -> tuple[Passage, ...]:
    """Return passages within the limits, whatever a retriever gave."""
    return tuple(
        Passage(" ".join(source.split())[:MAX_SOURCE_CHARACTERS], text)
        for source, whole in passages[:top_k]
        if (text := " ".join(whole.split())[:MAX_TEXT_CHARACTERS])
    )
