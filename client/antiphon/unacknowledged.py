"""What a client has sent and the server may lack, and what it may not send yet. Pure.

Bounds: `MAX_KEPT_BYTES` in all; of the audio recorded while there is no connection, or while the
server has paused the microphone, `MAX_AWAY_S`. Policy when full: the oldest quiet audio goes first,
then the oldest audio, then the oldest events.
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
        self._newest_seq = -1
        self._away_s: float | None = None
        self._sent_seq: int | None = None
        """While frames are held back: the newest one that was sent."""
        self._held_s = 0.0

    def __len__(self) -> int:
        return len(self._kept)

    def add_event(self, text: str, *, keep: bool = True) -> None:
        """Count an event, and keep it."""
        self._events_sent += 1
        if keep:
            self._add(_Kept(text, -1, 0.0, quiet=False))

    def add_frame(self, frame: bytes, seq: int, pcm: bytes, sample_rate_hz: int) -> None:
        """Keep a frame of PCM16 mono."""
        samples = np.frombuffer(pcm, "<i2")
        quiet = samples.size == 0 or int(np.abs(samples.astype(np.int32)).max()) < _QUIET_PEAK
        self._newest_seq = seq
        self._add(_Kept(frame, seq, len(pcm) / 2 / sample_rate_hz, quiet))

    def away(self) -> None:
        """There is no connection from now on; what was held back counts as recorded since then."""
        if self._away_s is None:
            self._away_s = self._held_s
        self.let_go()

    @property
    def holding(self) -> bool:
        """Whether new frames are held back."""
        return self._sent_seq is not None

    def hold(self) -> None:
        """Hold new frames back: `next_held` gives them."""
        if self._sent_seq is None:
            self._sent_seq = self._newest_seq

    def next_held(self) -> str | bytes | None:
        """Return the oldest frame that is held back, which counts as sent from now on."""
        if self._sent_seq is None:
            return None
        held = next((one for one in self._kept if one.seq > self._sent_seq), None)
        if held is None:
            return None
        self._sent_seq = held.seq
        self._held_s = max(0.0, self._held_s - held.seconds)
        return held.message

    def let_go(self) -> None:
        """Hold no more frames back."""
        self._sent_seq = None
        self._held_s = 0.0

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
        if self._sent_seq is not None and one.seq >= 0:
            self._held_s += one.seconds
            while self._held_s > MAX_AWAY_S + 0.001:
                self._held_s -= self._drop_oldest_audio(self._sent_seq)
        elif self._away_s is not None:
            self._away_s += one.seconds
            while self._away_s > MAX_AWAY_S + 0.001:
                self._away_s -= self._drop_oldest_audio()
        while self._bytes > MAX_KEPT_BYTES and self._kept:
            if not self._drop_oldest_audio():
                self._bytes -= len(self._kept.popleft().message)

    def _drop_oldest_audio(self, after_seq: int = -1) -> float:
        """Drop one frame, a quiet one if there is any; return its seconds, 0 when there is none."""
        frames = [one for one in self._kept if one.seq > after_seq]
        if not frames:
            return 0.0
        dropped = next((one for one in frames if one.quiet), frames[0])
        self._kept.remove(dropped)
        self._bytes -= len(dropped.message)
        return dropped.seconds
