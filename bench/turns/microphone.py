"""A microphone in real time: silence, one sound when told to, and the echo of the reply."""

import asyncio
import contextlib
import itertools
import time

import numpy as np

from antiphon.connection import Connection
from antiphon.server_address import ConnectionClosed
from antiphon_proto.audio import Samples, float_to_pcm16
from bench.turns.listener import Listener
from bench.turns.plans import Echo
from bench.turns.sound import RATE_HZ

CHUNK = RATE_HZ // 50


class Microphone:
    """Sends 20 ms at a time; a chunk leaves when its last sample would be captured."""

    def __init__(self, talk: Connection, listener: Listener, echo: Echo | None) -> None:
        self.began_s: float | None = None
        """When the first sample of the sound was captured, on the monotonic clock."""
        self._talk = talk
        self._listener = listener
        self._echo = echo
        self._sound: Samples = np.zeros(0, np.float32)
        self._due_s: float | None = None

    def pick_up(self, sound: Samples, at_s: float) -> None:
        """Begin a sound at this time, or now when it has passed."""
        self._sound, self._due_s = sound, at_s

    async def run(self) -> None:
        """Send until cancelled or until the session has ended."""
        origin_s = time.monotonic()
        with contextlib.suppress(ConnectionClosed):
            for index in itertools.count():
                began_s = origin_s + index * CHUNK / RATE_HZ
                await asyncio.sleep(max(0.0, began_s + CHUNK / RATE_HZ - time.monotonic()))
                pcm = float_to_pcm16(self._capture(began_s))
                await self._talk.send_audio(pcm, RATE_HZ, captured_s=began_s)

    def _capture(self, began_s: float) -> Samples:
        chunk = np.zeros(CHUNK, np.float32)
        first = 0
        if self._due_s is not None and self._due_s < began_s + CHUNK / RATE_HZ:
            first = max(0, round((self._due_s - began_s) * RATE_HZ))
            self.began_s = began_s + first / RATE_HZ
            self._due_s = None
        if self._due_s is None and len(self._sound):
            taken = min(CHUNK - first, len(self._sound))
            chunk[first : first + taken] = self._sound[:taken]
            self._sound = self._sound[taken:]
        if self._echo is not None:
            heard = self._listener.heard(began_s - self._echo.delay_ms / 1000, CHUNK)
            chunk += heard * np.float32(10 ** (self._echo.gain_db / 20))
        return chunk
