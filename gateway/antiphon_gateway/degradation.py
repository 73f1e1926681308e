"""Tells sessions when a stage has no worker left, and when it has one again."""

from collections.abc import Collection, Mapping
from typing import Protocol

from antiphon_gateway.realtime.server_events import Degraded
from antiphon_proto.messages import Stage, StageState


class Stages(Protocol):
    """Who knows how the stages are."""

    def stages(self) -> Mapping[Stage, StageState]:
        """Return whether each stage can work."""

    async def wait_for_change(self) -> None:
        """Wait until `stages` tells something new."""


class Told(Protocol):
    """An open session."""

    def tell(self, event: Degraded) -> None:
        """Send the event, if the client knows extensions."""


async def watch(stages: Stages, sessions: Collection[Told]) -> None:
    """Tell every open session of each change, until cancelled.

    A stage that was never ready is not degraded: the server is starting.
    """
    usable: dict[Stage, bool] = {}
    while True:
        await stages.wait_for_change()
        for stage, state in stages.stages().items():
            before = usable.get(stage)
            if state.ready or before is not None:
                usable[stage] = state.ready
            if before is not None and before != state.ready:
                event = Degraded(stage=stage, degraded=not state.ready)
                for session in tuple(sessions):
                    session.tell(event)
