"""The sockets towards workers: their status in, jobs and cancellations out."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import Generic, Protocol, TypeVar

from antiphon_gateway.dispatch.actions import (
    Cancel,
    Connect,
    Disconnect,
    Send,
    WorkerAction,
)
from antiphon_gateway.dispatch.announcement import announced
from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.links import Links
from antiphon_gateway.dispatch.malformed import MalformedLog
from antiphon_proto import codec
from antiphon_proto.channel import Bus, Message, PeerEvent, Receiver, Sender
from antiphon_proto.errors import MalformedMessage
from antiphon_proto.messages import CancelJobs, Status

STATUS_HWM = 1_000
CONTROL_HWM = 1_000
TICK_S = 0.1
MAX_LAST_WORDS = 16
"""Batches of status messages read before a connection counts as closed."""

ActionT = TypeVar("ActionT")
ActionT_co = TypeVar("ActionT_co", covariant=True)
logger = logging.getLogger(__name__)


class Core(Protocol[ActionT_co]):
    """What decides: a `Pool`, or a `Scheduler` with one inside."""

    counters: Counters

    def status(self, status: Status, now_ms: int) -> Sequence[ActionT_co]:
        """A worker said something."""

    def worker_connected(
        self, worker_id: str, incarnation: str, now_ms: int
    ) -> Sequence[ActionT_co]:
        """Its job connection is open."""

    def worker_lost(self, worker_id: str, incarnation: str, now_ms: int) -> Sequence[ActionT_co]:
        """Its job connection closed."""

    def tick(self, now_ms: int) -> Sequence[ActionT_co]:
        """Time passed."""


class WorkerSide(Generic[ActionT]):
    """Feeds a core with what workers say, and does what it asks of them."""

    def __init__(
        self,
        bus: Bus,
        name: str,
        core: Core[ActionT],
        perform: Callable[[Sequence[ActionT]], None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`name` is that of the process whose endpoints workers use.

        `perform` gets what the core wants done; it hands actions for workers to `do`. `changed` is
        called when the state of a worker may be another.
        """
        self._bus = bus
        self._name = name
        self._core = core
        self._perform = perform
        self._changed = changed
        self._links: Links | None = None
        self._status: Receiver | None = None
        self._control: Sender | None = None
        self._malformed = MalformedLog(core.counters)

    async def run(self) -> None:
        """Serve until cancelled. Raises StartupError when the endpoints cannot be bound."""
        bus, name = self._bus, self._name
        with ExitStack() as sockets:
            self._status = status = bus.pull(bus.endpoint(f"{name}.status"), hwm=STATUS_HWM)
            sockets.enter_context(closing(status))
            self._control = bus.publish(bus.endpoint(f"{name}.control"), hwm=CONTROL_HWM)
            sockets.enter_context(closing(self._control))
            async with asyncio.TaskGroup() as group:
                self._links = Links(bus, group, self._on_link)
                group.create_task(self._read_status(status), name="dispatch-status")
                group.create_task(self._tick(), name="dispatch-tick")

    def do(self, action: WorkerAction) -> bool:
        """Do one thing. False: a `Send` met a full pipe or no peer."""
        if isinstance(action, Cancel):
            self._publish(action)
        elif self._links is None:
            return not isinstance(action, Send)
        elif isinstance(action, Send):
            frames = codec.encode(action.job, action.payload)
            return self._links.send(action.worker_id, action.incarnation, frames)
        elif isinstance(action, Connect):
            self._links.open(action)
        else:
            self._links.close(action.worker_id)
        return True

    async def _read_status(self, channel: Receiver) -> None:
        while True:
            self._take(await channel.receive())
            # A receive that finds messages at hand does not give way to other tasks.
            await asyncio.sleep(0)

    def _take(self, messages: list[Message]) -> None:
        for frames in messages:
            try:
                status, _ = codec.status.decode(frames)
                status = announced(status, frames, self._bus)
            except MalformedMessage as exc:
                self._malformed.count("status", exc)
                continue
            self._perform(self._core.status(status, now_ms()))
        self._changed()

    def _take_last_words(self) -> None:
        """Read what a worker said before its connection closed, such as its goodbye.

        It says so on another socket than the one that closes, and the event loop may serve either
        first.
        """
        for _ in range(MAX_LAST_WORDS):
            if self._status is None or not (messages := self._status.at_hand()):
                return
            self._take(messages)

    def _on_link(self, worker_id: str, incarnation: str, event: PeerEvent) -> None:
        if event == "connected":
            logger.info("worker connected", extra={"worker": worker_id})
            self._perform(self._core.worker_connected(worker_id, incarnation, now_ms()))
        else:
            self._take_last_words()
            counters = self._core.counters
            workers, tries = counters.workers_lost, counters.tries_lost
            actions = self._core.worker_lost(worker_id, incarnation, now_ms())
            if counters.workers_lost > workers:
                lost = counters.tries_lost - tries
                logger.warning("worker lost", extra={"worker": worker_id, "reissued": lost})
            self._perform(actions)
        self._changed()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            actions = self._core.tick(now_ms())
            for action in actions:
                if isinstance(action, Disconnect):
                    logger.warning("worker fell silent", extra={"worker": action.worker_id})
            self._perform(actions)
            self._changed()
            if self._control is not None:
                self._control.settle()

    def _publish(self, cancel: Cancel) -> None:
        if self._control is not None and not self._control.closed:
            message = CancelJobs(job_ids=cancel.job_ids, through_attempt=cancel.through_attempt)
            self._control.send(codec.encode(message))


def now_ms() -> int:
    """Return the time that dispatch counts in."""
    return time.monotonic_ns() // 1_000_000
