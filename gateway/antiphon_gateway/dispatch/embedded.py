"""A dispatcher with workers of its own: the gateway that is alone."""

from collections.abc import Sequence

from antiphon_gateway.dispatch.actions import Action, Ask, Deliver, NoteSent, Send, Tell
from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.dispatch.load import StageLoad, load
from antiphon_gateway.dispatch.observer import JobObserver
from antiphon_gateway.dispatch.scheduler import Scheduler
from antiphon_gateway.dispatch.state import stage_state
from antiphon_gateway.dispatch.worker_side import WorkerSide, now_ms
from antiphon_proto.channel import Bus
from antiphon_proto.messages import Stage, StageState


class EmbeddedDispatcher(Dispatcher):
    """Jobs, pool and the workers' sockets in one process."""

    def __init__(self, bus: Bus, gateway: str, observer: JobObserver | None = None) -> None:
        self._scheduler = Scheduler(gateway)
        super().__init__(bus, gateway, self._scheduler, observer)
        self._workers = WorkerSide(bus, gateway, self._scheduler, self._perform, self._note_change)

    def load(self, stage: Stage) -> StageLoad:
        """Return how busy a stage is now."""
        return load(self._scheduler.pool, stage, now_ms())

    async def _serve(self) -> None:
        await self._workers.run()

    def _do(self, action: Action) -> Sequence[Action]:
        # The scheduler settles what its parts tell each other.
        assert not isinstance(action, Tell | Ask | Deliver | NoteSent)
        done = self._workers.do(action)
        if isinstance(action, Send) and not done:
            return self._scheduler.unsent(action, now_ms())
        return ()

    def _state(self, stage: Stage) -> StageState:
        return stage_state(self._scheduler.pool, stage, now_ms())
