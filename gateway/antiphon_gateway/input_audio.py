"""The microphone's audio of one session at 16 kHz: a bounded ring with absolute positions."""

from antiphon_proto.audio import Resampler
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ

MIN_SAMPLE_RATE_HZ = 8_000
MAX_SAMPLE_RATE_HZ = 192_000

_BYTES_PER_MS = 2 * STT_SAMPLE_RATE_HZ // 1_000


class InputAudio:
    """Resamples what the client sends to 16 kHz PCM16 and keeps the newest `max_ms` of it.

    Positions count samples at 16 kHz since the session began and never go back. When the ring is
    full the oldest audio is dropped.
    """

    def __init__(self, max_ms: int, first_sample: int = 0) -> None:
        self._max_bytes = max_ms * _BYTES_PER_MS
        self._held = bytearray()
        self._position_samples = first_sample
        self._odd_byte = b""
        self._sample_rate_hz = STT_SAMPLE_RATE_HZ
        self._resampler = Resampler(STT_SAMPLE_RATE_HZ, STT_SAMPLE_RATE_HZ)

    @property
    def position_samples(self) -> int:
        """Samples written since the session began."""
        return self._position_samples

    @property
    def start_samples(self) -> int:
        """Position of the oldest sample still held."""
        return self._position_samples - len(self._held) // 2

    def append(self, pcm: bytes, sample_rate_hz: int) -> bytes:
        """Add PCM16 of any length at any rate; return the bytes at 16 kHz that were added.

        An odd last byte is kept for the next call. When the rate changes, so does the resampler: it
        first gives up what it held back. Raises ValueError when the rate is not in 8 to 192 kHz.
        """
        added = self._switch(sample_rate_hz)
        pcm = self._odd_byte + pcm
        whole = len(pcm) & ~1
        self._odd_byte = pcm[whole:]
        if whole:
            added += self._resampler.feed(pcm[:whole])
        self._held += added
        self._position_samples += len(added) // 2
        surplus = len(self._held) - self._max_bytes
        if surplus > 0:
            del self._held[:surplus]
        return added

    def slice(self, start_sample: int, end_sample: int) -> bytes:
        """Return the PCM16 between two positions, as much of it as is still held."""
        oldest = self.start_samples
        start = max(start_sample - oldest, 0)
        end = max(end_sample - oldest, 0)
        return bytes(self._held[2 * start : 2 * end])

    def clear(self) -> None:
        """Drop all audio that is held, half a sample too. The position stays."""
        self._held.clear()
        self._odd_byte = b""

    def _switch(self, sample_rate_hz: int) -> bytes:
        """Change to another source rate; return what the resampler before had held back."""
        if sample_rate_hz == self._sample_rate_hz:
            return b""
        if not MIN_SAMPLE_RATE_HZ <= sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
            raise ValueError(
                f"sample rate is {sample_rate_hz} Hz, not between {MIN_SAMPLE_RATE_HZ} and "
                f"{MAX_SAMPLE_RATE_HZ} Hz"
            )
        tail = self._resampler.feed(b"", last=True)
        self._odd_byte = b""
        self._sample_rate_hz = sample_rate_hz
        self._resampler = Resampler(sample_rate_hz, STT_SAMPLE_RATE_HZ)
        return tail
