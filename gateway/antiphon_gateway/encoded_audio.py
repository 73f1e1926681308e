"""The compressed microphone of one connection: chunks in, PCM16 of a decoder process out."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from antiphon_gateway.decoders import Decoder, Decoders, DecodingFailed
from antiphon_gateway.realtime.client_events import (
    ClientEvent,
    EncodedAudioStart,
    EncodedAudioStop,
    InputAudioClear,
    InputAudioCommit,
)
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_proto.encoded_audio import DECODED_RATE_HZ
from antiphon_proto.frames import EncodedFrame

MAX_WAITING_BYTES = 256 * 1024
"""Encoded audio that a decoder has not taken: more is not read from the client."""
PATIENCE_S = 15.0
"""So long a decoder may take nothing before it is given up: less than a client waits for a pong."""
_SETTLE_S = 2.0
_STREAMS_KEPT = 10
_STREAMS_WITHIN_S = 10.0

_log = logging.getLogger(__name__)

Deliver = Callable[[bytes, int], Awaitable[None]]
"""Takes PCM16 mono at 16 kHz and when its first sample was captured, in client microseconds."""


class EncodedAudio:
    """At most one stream at a time. Its failure is an `error` event; the session goes on."""

    def __init__(
        self,
        decoders: Decoders,
        group: asyncio.TaskGroup,
        deliver: Deliver,
        refuse: Callable[[InvalidEvent], None],
    ) -> None:
        self._decoders = decoders
        self._group = group
        self._deliver = deliver
        self._refuse = refuse
        self._decoder: Decoder | None = None
        self._task: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()
        self._starts_s: list[float] = []
        self._first_us: int | None = None

    async def on_event(self, event: ClientEvent) -> bool:
        """Take an event before the session does; return whether it was for us alone.

        A commit or a clear means the audio that was sent before it, so that is decoded first.
        Raises InvalidEvent.
        """
        if isinstance(event, EncodedAudioStart):
            await self._start(event)
            return True
        if isinstance(event, EncodedAudioStop):
            await self.stop()
            return True
        if isinstance(event, InputAudioCommit | InputAudioClear):
            await self._wait(lambda: self._waiting_bytes == 0, _SETTLE_S)
        return False

    async def take(self, frame: EncodedFrame) -> None:
        """Take one chunk; waits while the decoder is behind. Raises InvalidEvent."""
        if self._task is None:
            raise InvalidEvent(
                "encoded_audio_not_started",
                "send antiphon.encoded_audio.start with the mime_type before the first chunk",
            )
        decoder = self._decoder
        if decoder is None:
            return  # of a stream that failed: said once
        if self._first_us is None:
            self._first_us = frame.timestamp
        decoder.write(frame.content)
        if not await self._wait(lambda: self._waiting_bytes <= MAX_WAITING_BYTES, PATIENCE_S):
            self._task.cancel()
            raise InvalidEvent("decoder_failed", f"the decoder took nothing for {PATIENCE_S:g} s")

    async def stop(self) -> None:
        """End the stream, once what was sent is decoded."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._decoder is not None:
            self._decoder.end()
            await self._wait(task.done, PATIENCE_S)
        task.cancel()
        await asyncio.wait([task])

    async def close(self) -> None:
        """Drop the stream."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    @property
    def _waiting_bytes(self) -> int:
        return 0 if self._decoder is None else self._decoder.waiting_bytes

    async def _start(self, event: EncodedAudioStart) -> None:
        now_s = asyncio.get_running_loop().time()
        self._starts_s = [*self._starts_s, now_s][-_STREAMS_KEPT:]
        if len(self._starts_s) == _STREAMS_KEPT and now_s - self._starts_s[0] < _STREAMS_WITHIN_S:
            raise InvalidEvent(
                "invalid_value",
                f"more than {_STREAMS_KEPT - 1} streams began within {_STREAMS_WITHIN_S:g} s",
                event_id=event.event_id,
            )
        await self.stop()
        ready = asyncio.Event()
        self._first_us = None
        self._task = self._group.create_task(
            self._run(event, ready), name=f"decoder {event.mime_type[:40]}"
        )
        await ready.wait()

    async def _run(self, event: EncodedAudioStart, ready: asyncio.Event) -> None:
        samples = 0
        try:
            async with self._decoders.open(event.mime_type) as self._decoder:
                ready.set()
                while (pcm := await self._decoder.receive()) is not None:
                    if pcm:
                        at_us = (self._first_us or 0) + samples * 1_000_000 // DECODED_RATE_HZ
                        samples += len(pcm) // 2
                        await self._deliver(pcm, at_us)
                    self._moved.set()
        except DecodingFailed as failure:
            _log.info("encoded audio refused", extra={"code": failure.code})
            self._refuse(InvalidEvent(failure.code, str(failure), event_id=event.event_id))
        finally:
            self._decoder = None
            ready.set()
            self._moved.set()

    async def _wait(self, over: Callable[[], bool], most_s: float) -> bool:
        """Wait for a condition of the decoder's progress; return whether it came true in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                while not over():
                    self._moved.clear()
                    await self._moved.wait()
        return over()
