"""What may be sent to the listener now, and what has been heard.

Audio is sent as far ahead of the listener as the network needs and no farther, because audio that
has left cannot be taken back. The listener's position is what the client reports; for a client that
reports nothing it is the sent-audio clock: it plays what it was sent, in real time, at once.
"""

from collections import deque

from antiphon_gateway.round_trip import RoundTrip

_BYTES_PER_SAMPLE = 2
_CHUNK_MS = 40
_MOST_UNDERWAY = 64
"""Sent chunks remembered of a client that reports nothing."""
_ROUNDING_MS = 2.0
"""A report is in whole milliseconds."""


class Playout:
    """The paced audio of one response item. All positions are in samples of the item."""

    def __init__(
        self,
        sample_rate_hz: int,
        lead_ms: int,
        unreported_lead_ms: int,
        round_trip: RoundTrip | None = None,
    ) -> None:
        self._rate = sample_rate_hz
        self._lead_ms = lead_ms
        self._unreported_lead_ms = unreported_lead_ms
        self._chunk_bytes = sample_rate_hz * _CHUNK_MS // 1000 * _BYTES_PER_SAMPLE
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._sent_samples = 0
        self._play_end_ms = 0.0
        self._round_trip = round_trip or RoundTrip()
        """A network that takes long needs so much more of a lead: it is underway, not buffered."""
        self._underway: deque[tuple[float, float]] = deque(maxlen=_MOST_UNDERWAY)
        """Where each chunk not yet reported ends, in ms of the item, and when it was sent."""
        self._received_sent_ms: float | None = None
        """When the newest chunk that the client has was sent."""
        self._paused_since_ms: float | None = None

    @property
    def sent_samples(self) -> int:
        """Samples handed out so far."""
        return self._sent_samples

    @property
    def queued_ms(self) -> float:
        """Audio that waits to be sent."""
        return self._queued_bytes / _BYTES_PER_SAMPLE * 1000 / self._rate

    def add(self, pcm: bytes) -> None:
        """Queue PCM16 behind what is queued."""
        if pcm:
            self._queue.append(pcm)
            self._queued_bytes += len(pcm)

    def begin_at(self, sent_samples: int) -> None:
        """Go on behind what another gateway has sent, which is taken to be heard."""
        self._sent_samples = sent_samples

    def drop(self) -> None:
        """Forget what was not sent."""
        self._queue.clear()
        self._queued_bytes = 0

    def pause(self, now_ms: float, *, paused: bool) -> None:
        """The listener hears no more of it, or the rest from where it paused."""
        if paused and self._paused_since_ms is None:
            self._paused_since_ms = now_ms
        elif not paused and self._paused_since_ms is not None:
            self._play_end_ms += now_ms - self._paused_since_ms
            self._paused_since_ms = None

    def take(self, now_ms: float) -> bytes:
        """Return the audio that may be sent now; empty when the listener has enough."""
        taken = bytearray()
        while self._queue and self.lead_ms(now_ms) < self._limit_ms:
            chunk = self._pop()
            taken += chunk
            duration_ms = len(chunk) / _BYTES_PER_SAMPLE * 1000 / self._rate
            self._play_end_ms = max(self._play_end_ms, self._clock_ms(now_ms)) + duration_ms
            self._sent_samples += len(chunk) // _BYTES_PER_SAMPLE
            self._underway.append((self._sent_ms, now_ms))
        return bytes(taken)

    def take_until(self, sample: int, now_ms: float) -> bytes:
        """Return the audio up to a sample of the item, whatever the listener has left to hear."""
        wanted = max(0, sample - self._sent_samples) * _BYTES_PER_SAMPLE
        taken = b"".join(self._queue)[:wanted]
        self.drop()
        samples = len(taken) // _BYTES_PER_SAMPLE
        duration_ms = samples * 1000 / self._rate
        self._play_end_ms = max(self._play_end_ms, self._clock_ms(now_ms)) + duration_ms
        self._sent_samples += samples
        return taken

    def next_due_ms(self, now_ms: float) -> float | None:
        """Return when `take` will have something to give, or None when nothing is queued."""
        enough = self.lead_ms(now_ms) >= self._limit_ms
        if not self._queue or (self._paused_since_ms is not None and enough):
            return None
        return max(now_ms, self._play_end_ms - self._limit_ms)

    def lead_ms(self, now_ms: float) -> float:
        """Return how much sent audio the listener has not heard yet."""
        return max(0.0, -self.since_end_ms(now_ms))

    @property
    def end_ms(self) -> float:
        """When the listener has heard all that was sent."""
        return self._play_end_ms

    def since_end_ms(self, now_ms: float) -> float:
        """Return how long ago the listener had heard all that was sent; negative before."""
        return self._clock_ms(now_ms) - self._play_end_ms

    def heard_samples(self, now_ms: float) -> int:
        """Return how much of the item the listener has heard."""
        unheard = int(self.lead_ms(now_ms) * self._rate / 1000)
        return max(0, self._sent_samples - unheard)

    def report(self, played_ms: float, now_ms: float, buffered_ms: float) -> None:
        """Take the client's word for what was heard of the item and what more has arrived."""
        self._play_end_ms = self._clock_ms(now_ms) + max(0.0, self._sent_ms - played_ms)
        received_ms = played_ms + buffered_ms
        while self._underway and self._underway[0][0] <= received_ms + _ROUNDING_MS:
            _, self._received_sent_ms = self._underway.popleft()
        received, missing = self._received_sent_ms, self._underway
        self._round_trip.note(
            None if received is None else now_ms - received,
            now_ms - missing[0][1] if missing else None,
        )

    def _clock_ms(self, now_ms: float) -> float:
        return now_ms if self._paused_since_ms is None else self._paused_since_ms

    @property
    def _sent_ms(self) -> float:
        return self._sent_samples * 1000 / self._rate

    @property
    def _limit_ms(self) -> float:
        lead_ms: float = self._unreported_lead_ms
        if self._round_trip.known:
            lead_ms = self._lead_ms + self._round_trip.ms
        return max(lead_ms, _CHUNK_MS)

    def _pop(self) -> bytes:
        head = self._queue.popleft()
        if len(head) > self._chunk_bytes:
            self._queue.appendleft(head[self._chunk_bytes :])
            head = head[: self._chunk_bytes]
        self._queued_bytes -= len(head)
        return head
