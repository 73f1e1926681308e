"""Where a client left silence out of its microphone, by the time of capture. Pure.

    frames      ▇▇▇▇          ▇▇▇▇
    told            └ until ┘
    filled          ▁▁▁▁▁▁▁▁▁▁

Only what a client announced is filled: one that sends nothing for another reason (push-to-talk, a
slow network) gets no silence put between.
"""

from collections.abc import Iterator

from antiphon_proto.frames import AudioFrame, SilenceFrame

MAX_FILL_US = 60_000_000
"""One announcement fills no more; the audio that is kept is not longer either."""


class CaptureGaps:
    """Follows one session's capture times, in microseconds of the client's clock."""

    def __init__(self) -> None:
        self._end_us: int | None = None
        self._announced = False
        self._rate_hz = 16_000

    def filled(self, frame: AudioFrame | SilenceFrame) -> Iterator[tuple[bytes, int, int]]:
        """Yield the audio to take for a frame, silence first: PCM16, rate, time of capture."""
        if isinstance(frame, SilenceFrame):
            self._announced = True
            yield from self._silence(frame.timestamp)
            return
        if self._announced:
            self._announced = False
            yield from self._silence(frame.timestamp)
        self._rate_hz = frame.sample_rate_hz
        duration_us = len(frame.pcm) // 2 * 1_000_000 // frame.sample_rate_hz
        self._end_us = frame.timestamp + duration_us
        yield frame.pcm, frame.sample_rate_hz, frame.timestamp

    def _silence(self, until_us: int) -> Iterator[tuple[bytes, int, int]]:
        end_us = self._end_us
        if end_us is None:
            self._end_us = until_us
            return
        gap_us = min(until_us - end_us, MAX_FILL_US)
        samples = gap_us * self._rate_hz // 1_000_000
        if samples > 0:
            self._end_us = until_us
            yield bytes(2 * samples), self._rate_hz, until_us - gap_us
