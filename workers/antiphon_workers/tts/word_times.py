"""The words of a job's speech, placed in its audio while that streams. Pure."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from antiphon_proto.messages import SpokenWord


class PlacedWord(NamedTuple):
    """A word with where it begins and ends in the speech as it was rendered, in samples."""

    end_character: int
    start: int
    end: int


class WordTimes:
    """Words that wait until it is known where they are in the audio that is sent."""

    def __init__(self, place: Callable[[int], int | None]) -> None:
        """`place` says where a rendered sample is in the audio; None: not yet known."""
        self._place = place
        self._waiting: deque[PlacedWord] = deque()
        self._end = 0

    def add(self, words: list[PlacedWord]) -> None:
        """Take the next words, in order."""
        self._waiting.extend(words)

    def take(self, end_sample: int) -> tuple[SpokenWord, ...]:
        """Return the words that end by `end_sample` of the audio, each once."""
        taken: list[SpokenWord] = []
        while self._waiting:
            word = self._waiting[0]
            end = self._place(word.end)
            if end is None or end > end_sample:
                break
            self._waiting.popleft()
            start = min(max(self._place(word.start) or 0, self._end), max(end, self._end))
            end = max(end, self._end)
            taken.append(
                SpokenWord(
                    end_character=word.end_character,
                    end_sample=end,
                    pause_samples=start - self._end,
                )
            )
            self._end = end
        return tuple(taken)
