"""Pure: a simulated listener: what was played, when, and how loud."""

import dataclasses
import itertools
import math
from collections import deque
from collections.abc import Sequence

import numpy as np

from antiphon.audio_devices import DUCKED_GAIN
from antiphon.connection import Audio
from antiphon.playout_clock import Position
from antiphon.sound import first_audible_sample
from antiphon_proto.audio import Samples, pcm16_to_float
from bench.reply_gaps import ArrivalClock
from bench.turns.sound import RATE_HZ

_ECHO_MEMORY = 64
"""Pieces among which an echo is looked for: more than the longest delay lasts."""


@dataclasses.dataclass(slots=True)
class Piece:
    """Audio of an item and when it is played; a cut shortens it."""

    item_id: str
    start_s: float
    end_s: float
    response_id: str = ""
    pcm: bytes = b""
    sample_rate_hz: int = 0

    @property
    def audible_s(self) -> float | None:
        """When its first audible sample is played; None when none is."""
        index = first_audible_sample(self.pcm)
        if index is None:
            return None
        at_s = self.start_s + index / self.sample_rate_hz
        return at_s if at_s < self.end_s else None


@dataclasses.dataclass(frozen=True, slots=True)
class Flush:
    """The listener fell silent in the middle of an item."""

    at_s: float
    silent_s: float
    """When the last sample was played: before, if the listener had paused."""
    item_id: str
    played_ms: int


class Listener(ArrivalClock):
    """A playout clock that remembers everything. Times are seconds of the monotonic clock.

    Samples are played when they arrive or when those before them have been: there is no jitter
    buffer and no sound card.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[Piece] = []
        self.flushes: list[Flush] = []
        self._ducks: list[tuple[float, bool]] = [(-math.inf, False)]
        self._without_audio: deque[Piece] = deque()

    def received(self, item_id: str, duration_s: float, now_s: float) -> None:
        """Take note of audio that has arrived; `add` brings its samples."""
        start_s = max(self._clock_s(now_s), self.end_s)
        super().received(item_id, duration_s, now_s)
        piece = Piece(item_id, start_s, self.end_s)
        self.pieces.append(piece)
        self._without_audio.append(piece)

    def add(self, audio: Audio) -> None:
        """Take the samples of the audio that arrived next."""
        piece = self._without_audio.popleft()
        piece.response_id = audio.response_id
        piece.pcm, piece.sample_rate_hz = audio.pcm, audio.sample_rate_hz

    @property
    def ducked(self) -> bool:
        """Whether what is played is quiet now."""
        return self._ducks[-1][1]

    def duck(self, now_s: float, *, ducked: bool) -> None:
        """Play quietly from now on, or as loud as before."""
        self._ducks.append((now_s, ducked))

    def flush(self, now_s: float) -> Position | None:
        """Play nothing more of what has arrived; return the position if that cut something off."""
        silent_s = self._clock_s(now_s)
        cut = super().flush(now_s)
        for piece in self._after(silent_s):
            piece.start_s = min(piece.start_s, silent_s)
            piece.end_s = silent_s
        if cut is not None:
            self.flushes.append(Flush(now_s, silent_s, cut.item_id, cut.played_ms))
        return cut

    def play_on(self, now_s: float) -> None:
        """Play the rest of what has arrived, from where it paused."""
        paused_s = self._clock_s(now_s)
        super().play_on(now_s)
        for piece in self._after(paused_s):
            if piece.start_s < paused_s:
                piece = self._split(piece, paused_s)
            piece.start_s += now_s - paused_s
            piece.end_s += now_s - paused_s

    def _after(self, at_s: float) -> list[Piece]:
        return list(itertools.takewhile(lambda piece: piece.end_s > at_s, reversed(self.pieces)))

    def _split(self, piece: Piece, at_s: float) -> Piece:
        """Cut a piece in two; return the second one."""
        first_bytes = 2 * round((at_s - piece.start_s) * piece.sample_rate_hz)
        rest = dataclasses.replace(piece, start_s=at_s, pcm=piece.pcm[first_bytes:])
        piece.end_s, piece.pcm = at_s, piece.pcm[:first_bytes]
        self.pieces.insert(self.pieces.index(piece) + 1, rest)
        return rest

    def heard(self, from_s: float, samples: int) -> Samples:
        """Return what is played from a time on, at 16 kHz; silence where nothing is."""
        times_s = from_s + np.arange(samples) / RATE_HZ
        until_s = self._clock_s(math.inf)
        sound = np.zeros(samples, np.float32)
        for piece in self.pieces[-_ECHO_MEMORY:]:
            if piece.end_s <= times_s[0] or piece.start_s > times_s[-1] or not piece.pcm:
                continue
            wave = pcm16_to_float(piece.pcm)
            playing = (times_s >= piece.start_s) & (times_s < min(piece.end_s, until_s))
            places = (times_s[playing] - piece.start_s) * piece.sample_rate_hz
            sound[playing] = np.interp(places, np.arange(len(wave)), wave)
        for (at_s, ducked), (until_s, _) in itertools.pairwise([*self._ducks, (math.inf, False)]):
            if ducked and until_s > from_s:
                sound[(times_s >= at_s) & (times_s < until_s)] *= np.float32(DUCKED_GAIN)
        return sound


def played_ms(pieces: Sequence[Piece], item_id: str) -> float:
    """Return how much of an item was played."""
    return sum((p.end_s - p.start_s) * 1000 for p in pieces if p.item_id == item_id)


def pcm_of(pieces: Sequence[Piece], item_id: str) -> tuple[bytes, int]:
    """Return everything that arrived of an item, played or not, and its sample rate."""
    own = [piece for piece in pieces if piece.item_id == item_id and piece.pcm]
    return b"".join(p.pcm for p in own), own[0].sample_rate_hz if own else 0
