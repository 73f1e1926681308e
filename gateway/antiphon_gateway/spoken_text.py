"""Which words of a response were heard, from how many of its samples were played."""

import dataclasses
import re
from collections.abc import Sequence

import msgspec

from antiphon_gateway.runway import CHARACTER_MS
from antiphon_gateway.word_map import Timed, placed_words

_WORD = re.compile(r"\S+\s*")


@dataclasses.dataclass(slots=True)
class _Clause:
    text: str
    speech: str
    samples: int = 0
    ended: bool = False
    times: list[Timed] = dataclasses.field(default_factory=list)


class SpokenState(msgspec.Struct, frozen=True, array_like=True):
    """One clause, its samples and where its words are."""

    text: str
    speech: str
    samples: int
    ended: bool
    times: tuple[Timed, ...]


class SpokenText:
    """The clauses of one response item with the samples that speak them."""

    def __init__(self, sample_rate_hz: int) -> None:
        """`sample_rate_hz` is that of all samples counted here."""
        self._rate = sample_rate_hz
        self._clauses: list[_Clause] = []

    @property
    def text(self) -> str:
        """Everything that was or will be spoken."""
        return "".join(clause.text for clause in self._clauses)

    @property
    def samples(self) -> int:
        """Samples of all clauses so far."""
        return sum(clause.samples for clause in self._clauses)

    def begin_clause(self, text: str, speech: str = "") -> None:
        """Begin the next clause; `text` keeps the spaces around it, `speech` is how it is said."""
        self._clauses.append(_Clause(text, speech or text))

    def add_samples(self, samples: int) -> None:
        """Count samples of the clause begun last."""
        self._clauses[-1].samples += samples

    def add_word(self, end_character: int, start_sample: int, end_sample: int) -> None:
        """Place a word of the speech of the clause begun last.

        Samples count from the clause's first. A word that was placed before is taken once.
        """
        times = self._clauses[-1].times
        if not times or end_character > times[-1].end_character:
            times.append(Timed(end_character, start_sample, end_sample))

    def end_clause(self) -> None:
        """The clause begun last has all its samples."""
        self._clauses[-1].ended = True

    def state(self) -> tuple[SpokenState, ...]:
        """Return all of it."""
        return tuple(
            SpokenState(
                one.text,
                one.speech,
                one.samples,
                one.ended,
                tuple(one.times),
            )
            for one in self._clauses
        )

    def restore(self, state: Sequence[SpokenState]) -> None:
        """Be what another one was."""
        self._clauses = [
            _Clause(one.text, one.speech, one.samples, one.ended, list(one.times)) for one in state
        ]

    def heard(self, played_samples: int) -> str:
        """Return the text of the first `played_samples` samples, cut at a word.

        A word was heard when at least half of its samples were played. Where the engine does not
        place the words, they share the clause's samples by their length in characters.
        """
        heard: list[str] = []
        if played_samples <= 0:
            return ""
        for clause in self._clauses:
            if not clause.ended or played_samples < clause.samples:
                heard.append(self._heard_words(clause, played_samples))
                break
            heard.append(clause.text)
            played_samples -= clause.samples
        return "".join(heard).rstrip()

    def word_end(self, sample: int) -> int:
        """Return where the word at a sample ends; the sample itself between words."""
        first_sample = 0
        for clause in self._clauses:
            for word in clause.times:
                if first_sample + word.start < sample < first_sample + word.end:
                    return first_sample + word.end
            first_sample += clause.samples
        return sample

    def _heard_words(self, clause: _Clause, played_samples: int) -> str:
        # A clause of which neither words nor length are known is taken to last as long as usual.
        end = 0
        if clause.times:
            for placed in placed_words(clause.text, clause.speech, clause.times):
                if played_samples < (placed.start + placed.end) / 2:
                    break
                end = placed.end_character
            return clause.text[:end]
        total = clause.samples
        if not clause.ended:
            total = max(total, len(clause.text) * CHARACTER_MS * self._rate // 1000)
        played_characters = len(clause.text) * min(played_samples, clause.samples) / max(total, 1)
        for word in _WORD.finditer(clause.text):
            if played_characters < (word.start() + word.end()) / 2:
                break
            end = word.end()
        return clause.text[:end]
