"""When the user speaks: speech probabilities in, started / paused / resumed / ended out.

    probability  ▁▁▁▇▇▇▇▇▇▇▇▁▁▁▁▁▁▇▇▇▇▇▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
                    │  └started    └paused └resumed (speech again)
                    └ speech begins                    └paused      └ended

Paused comes after `eager_silence_ms` of silence, ended after `end_silence_ms`.

Time is counted in samples of the microphone's audio, never by a clock, so a recording that is sent
faster than real time is endpointed just the same.
"""

import dataclasses
import enum

from antiphon_gateway.vad import WINDOW_SAMPLES
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ

_SILENCE_MARGIN = 0.15
"""Silero's own hysteresis: speech goes on until this far below the threshold."""


class SpeechEdge(enum.Enum):
    """What just became known about the user's speech."""

    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    ENDED = "ended"


@dataclasses.dataclass(frozen=True, slots=True)
class Edge:
    """A speech edge and the sample it is about: where speech began or where it stopped."""

    kind: SpeechEdge
    sample: int


@dataclasses.dataclass(slots=True)
class EndpointingRule:
    """The figures of one session. The session changes them as it learns more."""

    threshold: float
    min_speech_ms: int
    eager_silence_ms: int
    end_silence_ms: int
    max_utterance_ms: int
    resume_speech_ms: int = 0
    """Speech that resumes a paused utterance, if that is more than `min_speech_ms`."""
    onset_margin: float = 0.0
    """How far below the threshold the first window of an utterance may be."""


class Endpointer:
    """Follows one session's speech, one window of 512 samples at a time."""

    def __init__(self, rule: EndpointingRule, position: int = 0) -> None:
        """Begin at sample `position` of the microphone's audio, in silence."""
        self.rule = rule
        self._position = position
        self._run_start = position
        self._utterance_start = position
        self._last_speech_end = position
        self._run_samples = 0
        self._speaking = False
        self._paused = False

    @property
    def speaking(self) -> bool:
        """Whether an utterance is open (started and not ended)."""
        return self._speaking

    @property
    def silence_ms(self) -> int:
        """Silence since the last speech of the open utterance."""
        return _to_ms(self._position - self._last_speech_end)

    @property
    def paused(self) -> bool:
        """Whether the open utterance is in a pause."""
        return self._paused

    @property
    def hears_speech(self) -> bool:
        """Whether the newest window is speech, long enough to count or not."""
        return self._run_samples > 0

    def extend_back(self, sample: int) -> None:
        """Count the length of the open utterance from an earlier sample."""
        self._utterance_start = min(self._utterance_start, sample)

    def reset(self) -> None:
        """Forget the open utterance."""
        self._speaking = self._paused = False
        self._run_samples = 0

    def feed(self, probability: float) -> list[Edge]:
        """Take the speech probability of the next window."""
        window_start = self._position
        self._position += WINDOW_SAMPLES
        if self._is_speech(probability):
            return self._on_speech(window_start)
        return self._on_silence()

    def end_if_over(self) -> list[Edge]:
        """Return the end of a pause that has lasted long enough by the rule as it is now."""
        if not self._paused or self._run_samples or self.silence_ms < self.rule.end_silence_ms:
            return []
        return self._end()

    def _is_speech(self, probability: float) -> bool:
        margin = 0.0 if self._speaking else self.rule.onset_margin
        if self._run_samples:
            margin = _SILENCE_MARGIN
        return probability >= self.rule.threshold - margin

    def _on_speech(self, window_start: int) -> list[Edge]:
        if not self._run_samples:
            self._run_start = window_start
        self._run_samples += WINDOW_SAMPLES
        long_enough = _to_ms(self._run_samples) >= self.rule.min_speech_ms
        if not self._speaking:
            if not long_enough:
                return []
            self._speaking = True
            self._utterance_start = self._run_start
            self._last_speech_end = self._position
            return [Edge(SpeechEdge.STARTED, self._run_start)]
        if self._paused:
            if not long_enough or _to_ms(self._run_samples) < self.rule.resume_speech_ms:
                return []
            self._paused = False
            self._last_speech_end = self._position
            return [Edge(SpeechEdge.RESUMED, self._run_start)]
        self._last_speech_end = self._position
        return self._end_if_too_long()

    def _on_silence(self) -> list[Edge]:
        self._run_samples = 0
        if not self._speaking:
            return []
        edges: list[Edge] = []
        if not self._paused and self.silence_ms >= min(
            self.rule.eager_silence_ms, self.rule.end_silence_ms
        ):
            self._paused = True
            edges.append(Edge(SpeechEdge.PAUSED, self._last_speech_end))
        if self.silence_ms >= self.rule.end_silence_ms:
            edges += self._end()
        return edges

    def _end_if_too_long(self) -> list[Edge]:
        if _to_ms(self._position - self._utterance_start) < self.rule.max_utterance_ms:
            return []
        return self._end()

    def _end(self) -> list[Edge]:
        self.reset()
        return [Edge(SpeechEdge.ENDED, self._last_speech_end)]


def _to_ms(samples: int) -> int:
    return samples * 1000 // STT_SAMPLE_RATE_HZ
