"""What a client has sent and the server may lack, for a session that is resumed. Pure.

Bounds: `MAX_KEPT_BYTES` in all; of the audio recorded while there is no connection `MAX_AWAY_S`.
Policy when full: the oldest quiet audio goes first, then the oldest audio, then the oldest events.
"""

from collections import deque
from typing import NamedTuple

import numpy as np

MAX_KEPT_BYTES = 8 * 1024 * 1024
MAX_AWAY_S = 5.0
_QUIET_PEAK = 600
"""Largest sample of 32,768 in audio that holds no speech nearby."""


class _Kept(NamedTuple):
    message: str | bytes
    seq: int
    """Of a frame: its sequence number; of an event: -1."""
    seconds: float
    quiet: bool


class Unacknowledged:
    """Events and frames in the order in which they were sent."""

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque()
        self._bytes = 0
        self._events_sent = 0
        self._away_s: float | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def add_event(self, text: str) -> None:
        """Keep an event."""
        self._events_sent += 1
        self._add(_Kept(text, -1, 0.0, quiet=False))

    def add_frame(self, frame: bytes, seq: int, pcm: bytes, sample_rate_hz: int) -> None:
        """Keep a frame of PCM16 mono."""
        samples = np.frombuffer(pcm, "<i2")
        quiet = samples.size == 0 or int(np.abs(samples.astype(np.int32)).max()) < _QUIET_PEAK
        self._add(_Kept(frame, seq, len(pcm) / 2 / sample_rate_hz, quiet))

    def away(self) -> None:
        """There is no connection from now on."""
        if self._away_s is None:
            self._away_s = 0.0

    def acknowledge(self, events_received: int, last_frame: int | None) -> None:
        """Forget what the server has."""
        first_event = self._events_sent - sum(1 for one in self._kept if one.seq < 0) + 1
        last_seq = -1 if last_frame is None else last_frame
        missing: deque[_Kept] = deque()
        number = first_event - 1
        for one in self._kept:
            number += one.seq < 0
            received = number <= events_received if one.seq < 0 else one.seq <= last_seq
            if not received:
                missing.append(one)
        self._kept = missing
        self._bytes = sum(len(one.message) for one in missing)

    def resumed(self, events_received: int, last_frame: int | None) -> list[str | bytes]:
        """Return what the server lacks, to be sent again; it counts as sent from now on."""
        self.acknowledge(events_received, last_frame)
        self._events_sent = events_received + sum(1 for one in self._kept if one.seq < 0)
        self._away_s = None
        return [one.message for one in self._kept]

    def _add(self, one: _Kept) -> None:
        self._kept.append(one)
        self._bytes += len(one.message)
        if self._away_s is not None:
            self._away_s += one.seconds
            while self._away_s > MAX_AWAY_S + 0.001:
                self._away_s -= self._drop_oldest_audio()
        while self._bytes > MAX_KEPT_BYTES and self._kept:
            if not self._drop_oldest_audio():
                self._bytes -= len(self._kept.popleft().message)

    def _drop_oldest_audio(self) -> float:
        """Drop one frame, a quiet one if there is any; return its seconds, 0 when there is none."""
        frames = [one for one in self._kept if one.seq >= 0]
        if not frames:
            return 0.0
        dropped = next((one for one in frames if one.quiet), frames[0])
        self._kept.remove(dropped)
        self._bytes -= len(dropped.message)
        return dropped.seconds
