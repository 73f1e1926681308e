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


class _Frame(NamedTuple):
    first_sample: float
    end_sample: float
    captured_ms: float | None
    arrived_ms: float


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
        self._frames.append(_Frame(first, self._end_sample, captured_ms, now_ms))

    def at(self, sample: int) -> Heard | None:
        """Return what is known of the end of the audio before `sample`; None when it is too old."""
        for frame in reversed(self._frames):
            if frame.first_sample < sample:
                if sample > frame.end_sample + STT_SAMPLE_RATE_HZ:
                    return None
                captured_ms = frame.captured_ms
                if captured_ms is not None:
                    captured_ms += (sample - frame.first_sample) * 1000 / STT_SAMPLE_RATE_HZ
                return Heard(captured_ms, frame.arrived_ms)
        return None

    def offset_ms(self, sent_ms: float, received_ms: float) -> float:
        """Return what to add to the client's clock to get ours.

        `sent_ms` (our clock), `received_ms` (the client's) of one message. Two clocks and two ways
        cannot be told apart; the fastest trips of both directions are taken to be equally fast.
        """
        self._downlinks_ms.append(received_ms - sent_ms)
        uplink_ms = min(
            (
                frame.arrived_ms - frame.captured_ms - _length_ms(frame)
                for frame in self._frames
                if frame.captured_ms is not None
            ),
            default=-min(self._downlinks_ms),
        )
        return (uplink_ms - min(self._downlinks_ms)) / 2


def _length_ms(frame: _Frame) -> float:
    return (frame.end_sample - frame.first_sample) * 1000 / STT_SAMPLE_RATE_HZ
