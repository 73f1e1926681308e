"""Where speech is in a recording: stretches short enough to transcribe, cut at silences. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from antiphon_gateway.vad import WINDOW_SAMPLES

SPEECH = 0.5
"""Probability from which a window holds speech."""
PAD_WINDOWS = 7
"""Kept before and behind speech: 0.2 s."""
LEAST_SPEECH_WINDOWS = 3
"""Less speech than this in a stretch is noise."""
PAUSE_WINDOWS = 22
"""A silence of 0.7 s ends a stretch that is long enough."""
ENOUGH_WINDOWS = 188
"""6 s."""
LONG_PAUSE_WINDOWS = 63
"""A silence of 2 s ends any stretch."""
MOST_WINDOWS = 781
"""25 s, within one window of Whisper; a longer stretch is cut at its quietest moment."""
_SEEK_WINDOWS = 375
"""How far back that is sought: 12 s."""


class Stretch(NamedTuple):
    """Samples of a recording at 16 kHz."""

    start: int
    end: int


class SpeechSegments:
    """Follows the speech probabilities of a recording, window by window."""

    def __init__(self) -> None:
        self._count = 0
        self._free_from = 0
        self._start: int | None = None
        self._probabilities: list[float] = []
        """Of the stretch that is open."""
        self._last_speech = 0
        self._speech_windows = 0

    def feed(self, probabilities: Sequence[float]) -> Iterator[Stretch]:
        """Yield the stretches that are over."""
        for probability in probabilities:
            window = self._count
            self._count += 1
            if self._start is None:
                if probability < SPEECH:
                    continue
                self._open(max(window - PAD_WINDOWS, self._free_from), window)
            self._probabilities.append(probability)
            if probability >= SPEECH:
                self._last_speech = window
                self._speech_windows += 1
            yield from self._judge(window)

    def finish(self) -> Iterator[Stretch]:
        """Yield the stretch that the end of the recording ends."""
        if self._start is not None:
            yield from self._close(min(self._last_speech + 1 + PAD_WINDOWS, self._count))

    def _open(self, start: int, window: int) -> None:
        self._start = start
        self._last_speech = window
        self._speech_windows = 0
        # Windows of the pad count as silent.
        self._probabilities = [0.0] * (window - start)

    def _judge(self, window: int) -> Iterator[Stretch]:
        assert self._start is not None
        silence, length = window - self._last_speech, window + 1 - self._start
        if silence >= LONG_PAUSE_WINDOWS or (silence >= PAUSE_WINDOWS and length >= ENOUGH_WINDOWS):
            yield from self._close(self._last_speech + 1 + PAD_WINDOWS)
        elif length >= MOST_WINDOWS:
            recent = self._probabilities[-_SEEK_WINDOWS:]
            behind = len(recent) - 1 - recent.index(min(recent))
            cut, rest = window - behind, self._probabilities[len(self._probabilities) - behind :]
            yield from self._close(cut)
            if any(probability >= SPEECH for probability in rest):
                self._start, self._probabilities = cut, rest
                self._speech_windows = sum(probability >= SPEECH for probability in rest)

    def _close(self, end: int) -> Iterator[Stretch]:
        assert self._start is not None
        if self._speech_windows >= LEAST_SPEECH_WINDOWS:
            yield Stretch(self._start * WINDOW_SAMPLES, end * WINDOW_SAMPLES)
        self._start = None
        self._free_from = end
