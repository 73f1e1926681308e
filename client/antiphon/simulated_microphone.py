"""Sends a session's microphone in real time: silence, and recordings when told to."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable
from typing import Protocol

from antiphon.server_address import ConnectionClosed
from antiphon_proto.audio import Resampler

CHUNKS_PER_S = 50


class Listener(Protocol):
    """Whom the microphone belongs to."""

    async def send_audio(self, pcm: bytes, sample_rate_hz: int, *, captured_s: float) -> None:
        """Take what was captured."""
        ...


class SimulatedMicrophone:
    """A microphone that never stops; a chunk leaves when its last sample would be captured."""

    def __init__(self, talk: Listener, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.speaking = False
        """Whether a recording is being sent."""
        self.began_s = 0.0
        """When the first sample of the last recording was captured, on the monotonic clock."""
        self.begin: Callable[[], None] | None = None
        """Has `run` run; called once, by the first `say_all`."""
        self._talk = talk
        self._said = asyncio.Event()
        self._ended = False
        self._speech = memoryview(b"")
        self._fresh = False

    def say(self, pcm: bytes) -> None:
        """Begin to send a recording, PCM16 mono at the microphone's sample rate."""
        self._speech = memoryview(pcm)
        self._fresh = self.speaking = True

    async def say_all(self, pcm: bytes, sample_rate_hz: int) -> None:
        """Say a recording, PCM16 mono at that rate; return when it was said, or nobody listens."""
        begin, self.begin = self.begin, None
        if begin is not None:
            begin()
        if self._ended:
            return
        self._said.clear()
        self.say(Resampler(sample_rate_hz, self.sample_rate_hz).feed(pcm, last=True))
        await self._said.wait()

    async def run(self) -> None:
        """Send until cancelled or until the session has ended."""
        try:
            with contextlib.suppress(ConnectionClosed):
                await self._send_for_ever()
        finally:
            self._ended = True
            self._said.set()

    async def _send_for_ever(self) -> None:
        origin_s = time.monotonic()
        captured = 0
        for index in itertools.count(1):
            until = index * self.sample_rate_hz // CHUNKS_PER_S
            began_s = origin_s + captured / self.sample_rate_hz
            chunk = self._capture(until - captured, began_s)
            captured = until
            ended_s = origin_s + until / self.sample_rate_hz
            await asyncio.sleep(max(0.0, ended_s - time.monotonic()))
            await self._talk.send_audio(chunk, self.sample_rate_hz, captured_s=began_s)
            self.speaking = bool(self._speech)
            if not self.speaking:
                self._said.set()

    def _capture(self, samples: int, began_s: float) -> bytes:
        if self._fresh:
            self._fresh, self.began_s = False, began_s
        chunk = bytes(self._speech[: samples * 2])
        self._speech = self._speech[samples * 2 :]
        return chunk.ljust(samples * 2, b"\0")
