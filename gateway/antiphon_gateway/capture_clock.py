"""When the microphone's samples were captured and when they arrived; the client's clock. Pure."""

from collections import deque
from typing import NamedTuple

from antiphon_proto.messages import STT_SAMPLE_RATE_HZ

_FRAMES_KEPT = 1_024
"""About 20 s of frames as the page sends them."""
_DOWNLINKS_KEPT = 16


class Heard(NamedTuple):
    """One sample of the microphone."""

    captured_ms: float | None
    """By the client's clock; None when it does not say."""
    arrived_ms: float
    """By ours."""


_Frame = tuple[float, float, float | None, float]
"""First and end sample, when captured, when arrived. Plain tuples of numbers, because there are
many: the garbage collector does not look at them again and again."""


class CaptureClock:
    """Follows one session's microphone frames. Samples are counted at 16 kHz from the session's
    start, silence and all.
    """

    def __init__(self) -> None:
        self._frames: deque[_Frame] = deque(maxlen=_FRAMES_KEPT)
        self._downlinks_ms: deque[float] = deque(maxlen=_DOWNLINKS_KEPT)
        self._end_sample = 0.0

    def note(self, duration_s: float, captured_us: int | None, now_ms: float) -> None:
        """Take note of audio that has arrived, its first sample captured at `captured_us`."""
        first = self._end_sample
        self._end_sample += duration_s * STT_SAMPLE_RATE_HZ
        captured_ms = None if captured_us is None else captured_us / 1000
        self._frames.append((first, self._end_sample, captured_ms, now_ms))

    def at(self, sample: int) -> Heard | None:
        """Return what is known of the end of the audio before `sample`; None when it is too old."""
        for first_sample, end_sample, captured_ms, arrived_ms in reversed(self._frames):
            if first_sample < sample:
                if sample > end_sample + STT_SAMPLE_RATE_HZ:
                    return None
                if captured_ms is not None:
                    captured_ms += (sample - first_sample) * 1000 / STT_SAMPLE_RATE_HZ
                return Heard(captured_ms, arrived_ms)
        return None

    def offset_ms(self, sent_ms: float, received_ms: float) -> float:
        """Return what to add to the client's clock to get ours.

        `sent_ms` (our clock), `received_ms` (the client's) of one message. Two clocks and two ways
        cannot be told apart; the fastest trips of both directions are taken to be equally fast.
        """
        self._downlinks_ms.append(received_ms - sent_ms)
        uplink_ms = min(
            (
                arrived_ms - captured_ms - (end - first) * 1000 / STT_SAMPLE_RATE_HZ
                for first, end, captured_ms, arrived_ms in self._frames
                if captured_ms is not None
            ),
            default=-min(self._downlinks_ms),
        )
        return (uplink_ms - min(self._downlinks_ms)) / 2
