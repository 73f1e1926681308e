"""Which words of a response were heard, from how many of its samples were played."""

import dataclasses
import re

_WORD = re.compile(r"\S+\s*")


@dataclasses.dataclass(slots=True)
class _Clause:
    text: str
    samples: int = 0


class SpokenText:
    """The clauses of one response item with the samples that speak them."""

    def __init__(self) -> None:
        self._clauses: list[_Clause] = []

    @property
    def text(self) -> str:
        """Everything that was or will be spoken."""
        return "".join(clause.text for clause in self._clauses)

    @property
    def samples(self) -> int:
        """Samples of all clauses so far."""
        return sum(clause.samples for clause in self._clauses)

    def begin_clause(self, text: str) -> None:
        """Begin the next clause; `text` keeps the spaces around it."""
        self._clauses.append(_Clause(text))

    def add_samples(self, samples: int) -> None:
        """Count samples of the clause begun last."""
        self._clauses[-1].samples += samples

    def heard(self, played_samples: int) -> str:
        """Return the text of the first `played_samples` samples, cut at a word.

        A word was heard when at least half of its samples were played. Inside a clause, samples are
        shared among the words by their length in characters.
        """
        heard: list[str] = []
        if played_samples <= 0:
            return ""
        for clause in self._clauses:
            if played_samples < clause.samples:
                heard.append(_heard_words(clause, played_samples))
                break
            heard.append(clause.text)
            played_samples -= clause.samples
        return "".join(heard).rstrip()


def _heard_words(clause: _Clause, played_samples: int) -> str:
    played_characters = len(clause.text) * played_samples / clause.samples
    end = 0
    for word in _WORD.finditer(clause.text):
        if played_characters < (word.start() + word.end()) / 2:
            break
        end = word.end()
    return clause.text[:end]
