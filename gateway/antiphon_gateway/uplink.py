"""How fast a session's client is listened to: when its next message is taken, when it pauses."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from antiphon_gateway.allowance import Allowance
from antiphon_gateway.driver import SessionDriver
from antiphon_gateway.microphone_flow import MicrophoneFlow, Word
from antiphon_gateway.outbox import Outbox
from antiphon_proto.config import Gateway

_log = logging.getLogger(__name__)


class Uplink:
    """What slows one session's client down."""

    def __init__(
        self,
        limits: Gateway,
        driver: SessionDriver,
        outbox: Outbox,
        tell: Callable[[Word], None] | None,
    ) -> None:
        """`tell` is called when the client shall hold its microphone back; None: it cannot."""
        self._loop = asyncio.get_running_loop()
        self._driver = driver
        self._outbox = outbox
        self._tell = tell
        now_s = self._loop.time()
        self._audio = Allowance(limits.audio_rate, limits.audio_burst_s, now_s)
        self._messages = Allowance(limits.message_rate, limits.message_burst, now_s)
        self._flow = MicrophoneFlow()
        self._timer: asyncio.TimerHandle | None = None

    async def ready_for_more(self, audio_s: float, messages: float) -> None:
        """Wait until the next message may be taken, after so much audio or other messages."""
        if self._tell is not None and not self._driver.is_caught_up:
            self._flow.waits(self._loop.time())
            self._look()
            try:
                await self._driver.caught_up()
            finally:
                self._flow.goes_on()
        await self.even(audio_s, messages)

    async def even(self, audio_s: float, messages: float = 0.0) -> None:
        """Wait as `ready_for_more` does, for audio that no client can hold back."""
        if not self._driver.is_caught_up:
            await self._driver.caught_up()
        now_s = self._loop.time()
        pause_s = max(self._audio.take(audio_s, now_s), self._messages.take(messages, now_s))
        if pause_s:
            with contextlib.suppress(TimeoutError):  # the socket is left alone, unless it closes
                async with asyncio.timeout(pause_s):
                    await self._outbox.close_asked.wait()

    def begin_anew(self) -> None:
        """Another connection has the session; it is not paused."""
        if self._flow.forget() and self._tell is not None:
            self._tell("resume")

    def close(self) -> None:
        """Tell nothing any more."""
        self._tell = None
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._tell is None:
            return
        now_s = self._loop.time()
        word = self._flow.judge(now_s, examined=self._driver.is_examined)
        if word is not None:
            _log.info("microphone flow", extra={"microphone": word})
            self._tell(word)
        if (due_s := self._flow.due_s(now_s)) is not None:
            self._timer = self._loop.call_at(due_s, self._look)
