"""A dispatcher whose workers are those of a dispatcher process, which several gateways share."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack, closing

from antiphon_gateway.dispatch.actions import Action, Ask
from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.dispatch.load import StageLoad
from antiphon_gateway.dispatch.observer import JobObserver
from antiphon_gateway.dispatch.remote_jobs import RemoteJobs
from antiphon_gateway.dispatch.worker_side import TICK_S, now_ms
from antiphon_proto import codec
from antiphon_proto.channel import Bus, Receiver, Sender
from antiphon_proto.errors import MalformedMessage
from antiphon_proto.messages import Stage, StageState

REQUESTS_HWM = 256
NOTICES_HWM = 1_000


class RemoteDispatcher(Dispatcher):
    """Jobs here, the pool elsewhere. Results still come from the workers directly."""

    def __init__(
        self, bus: Bus, gateway: str, hub: str, observer: JobObserver | None = None
    ) -> None:
        """`hub` is the name of the dispatcher process."""
        self._jobs = RemoteJobs(gateway)
        super().__init__(bus, gateway, self._jobs, observer)
        self._hub = hub
        self._requests: Sender | None = None

    def load(self, stage: Stage) -> StageLoad:
        """Return how busy a stage was at the dispatcher's last word."""
        state = self._state(stage)
        return StageLoad(state.queued, state.oldest_wait_ms, state.running, state.slots)

    async def _serve(self) -> None:
        with ExitStack() as sockets:
            bus = self._bus
            notices = bus.pull(bus.endpoint(f"{self._gateway}.notices"), hwm=NOTICES_HWM)
            sockets.enter_context(closing(notices))
            self._requests = bus.push(bus.endpoint(f"{self._hub}.requests"), hwm=REQUESTS_HWM)
            sockets.enter_context(closing(self._requests))
            self._requests.connect()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read_notices(notices), name="dispatch-notices")
                group.create_task(self._tick(), name="dispatch-tick")

    def _do(self, action: Action) -> Sequence[Action]:
        assert isinstance(action, Ask)
        if self._requests is None or not self._requests.send(
            codec.encode(action.request, action.payload)
        ):
            self._jobs.unasked(action.request)
        return ()

    def _state(self, stage: Stage) -> StageState:
        return self._jobs.state(stage, now_ms())

    async def _read_notices(self, notices: Receiver) -> None:
        while True:
            for frames in await notices.receive():
                try:
                    notice, _ = codec.notices.decode(frames)
                except MalformedMessage as exc:
                    self._malformed.count("notices", exc)
                    continue
                self._perform(self._jobs.notice(notice, now_ms()))
            self._note_change()
            await asyncio.sleep(0)

    async def _tick(self) -> None:
        while True:
            self._perform(self._jobs.tick(now_ms()))
            self._note_change()
            if self._jobs.alone and self._requests is not None:
                await self._requests.writable(round(1000 * TICK_S))
            else:
                await asyncio.sleep(TICK_S)
