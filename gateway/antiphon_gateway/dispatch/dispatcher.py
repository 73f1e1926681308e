"""The scheduler's sockets: messages in, actions out. Decides nothing but what is malformed."""

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, closing

from antiphon_gateway.dispatch.actions import Action, Cancel, Connect, Deliver, Disconnect, Send
from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.links import Links
from antiphon_gateway.dispatch.load import StageLoad, load
from antiphon_gateway.dispatch.observer import JobObserver, NoObserver
from antiphon_gateway.dispatch.readiness import StageReadiness, readiness
from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.dispatch.scheduler import Scheduler
from antiphon_proto import codec
from antiphon_proto.channel import Bus, PeerEvent, Receiver, Sender
from antiphon_proto.config import Config
from antiphon_proto.errors import MalformedMessage, StartupError
from antiphon_proto.messages import CancelJobs, Done, Failed, Heartbeat, Result, Stage

RESULTS_HWM = 256
STATUS_HWM = 1_000
CONTROL_HWM = 1_000
TICK_S = 0.1
MALFORMED_LOG_INTERVAL = 1_000
"""One log line for so many malformed messages."""

_JOBS_SOCKET = re.compile(r"[A-Za-z0-9._-]+\.jobs")

DeliverResult = Callable[[Result, bytes], None]
logger = logging.getLogger(__name__)


class Dispatcher:
    """Takes jobs from sessions, has workers do them, delivers the results.

    Use on one event loop. `submit` and `cancel` never wait and never call back; what a `deliver`
    raises goes to the event loop's exception handler and harms no other job.
    """

    def __init__(self, bus: Bus, config: Config, observer: JobObserver | None = None) -> None:
        """Prepare to serve as the gateway that `config` names; `run` does the work."""
        self._bus = bus
        self._observer: JobObserver = observer or NoObserver()
        self._name = config.gateway.name
        self._scheduler = Scheduler(self._name)
        self._recipients: dict[str, DeliverResult] = {}
        self._links: Links | None = None
        self._control: Sender | None = None
        self._changed = asyncio.Event()
        self._reasons = self._describe()

    @property
    def counters(self) -> Counters:
        """What happened so far."""
        return self._scheduler.counters

    async def run(self) -> None:
        """Serve until cancelled.

        Raises StartupError when the gateway's endpoints cannot be bound.
        """
        with ExitStack() as sockets:
            results, status = self._bind(sockets)
            async with asyncio.TaskGroup() as group:
                self._links = Links(self._bus, group, self._on_link)
                group.create_task(self._read_results(results), name="dispatch-results")
                group.create_task(self._read_status(status), name="dispatch-status")
                group.create_task(self._tick(), name="dispatch-tick")

    def submit(self, request: Request, deliver: DeliverResult) -> None:
        """Queue a job; its results go to `deliver(result, payload)`.

        `deliver` is called on the event loop, after this returns, for each result in order; the
        last and only the last is `Done` or `Failed`. Raises ValueError when the job id is in use.
        """
        now_ms = _now_ms()
        actions = self._scheduler.submit(request, now_ms)
        self._recipients[request.job_id] = deliver
        self._observer.submitted(request, now_ms)
        self._perform(actions)

    def cancel(self, job_ids: list[str]) -> None:
        """End jobs: nothing more of them is delivered, not even a terminal result."""
        now_ms = _now_ms()
        for job_id in job_ids:
            if self._recipients.pop(job_id, None):
                self._observer.ended(job_id, "cancelled", now_ms)
        self._perform(self._scheduler.cancel(job_ids))

    def stages(self) -> dict[Stage, StageReadiness]:
        """Return whether each stage can work, and if not, why."""
        return readiness(self._scheduler)

    def load(self, stage: Stage) -> StageLoad:
        """Return how busy a stage is now."""
        return load(self._scheduler, stage, _now_ms())

    async def wait_for_change(self) -> None:
        """Wait until `stages` tells something new about a stage's readiness or its reason."""
        await self._changed.wait()

    def _bind(self, sockets: ExitStack) -> tuple[Receiver, Receiver]:
        name, bus = self._name, self._bus
        results = bus.pull(bus.endpoint(f"{name}.results"), hwm=RESULTS_HWM)
        sockets.enter_context(closing(results))
        status = bus.pull(bus.endpoint(f"{name}.status"), hwm=STATUS_HWM)
        sockets.enter_context(closing(status))
        self._control = bus.publish(bus.endpoint(f"{name}.control"), hwm=CONTROL_HWM)
        sockets.enter_context(closing(self._control))
        return results, status

    # --- inputs --------------------------------------------------------------------------------

    async def _read_results(self, results: Receiver) -> None:
        while True:
            for frames in await results.receive():
                try:
                    result, payload = codec.results.decode(frames)
                except MalformedMessage as exc:
                    self._count_malformed("results", exc)
                    continue
                self._perform(self._scheduler.result(result, payload, _now_ms()))
            # A receive that finds messages at hand does not give way to other tasks.
            await asyncio.sleep(0)

    async def _read_status(self, channel: Receiver) -> None:
        while True:
            for frames in await channel.receive():
                try:
                    status, _ = codec.status.decode(frames)
                    if isinstance(status, Heartbeat):
                        self._check_endpoint(status)
                except MalformedMessage as exc:
                    self._count_malformed("status", exc)
                    continue
                self._perform(self._scheduler.status(status, _now_ms()))
            self._note_change()
            await asyncio.sleep(0)

    def _on_link(self, worker_id: str, incarnation: str, event: PeerEvent) -> None:
        now_ms = _now_ms()
        if event == "connected":
            logger.info("worker connected", extra={"worker": worker_id})
            self._perform(self._scheduler.worker_connected(worker_id, incarnation, now_ms))
        else:
            before = self.counters.reissued
            actions = self._scheduler.worker_lost(worker_id, incarnation, now_ms)
            reissued = self.counters.reissued - before
            logger.warning("worker lost", extra={"worker": worker_id, "reissued": reissued})
            self._perform(actions)
        self._note_change()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            actions = self._scheduler.tick(_now_ms())
            for action in actions:
                if isinstance(action, Disconnect):
                    logger.warning("worker fell silent", extra={"worker": action.worker_id})
            self._perform(actions)
            self._note_change()

    def _check_endpoint(self, beat: Heartbeat) -> None:
        """Raise MalformedMessage unless the job endpoint is an ipc socket in our directory."""
        name = beat.endpoint.rpartition("/")[2]
        try:
            ours = _JOBS_SOCKET.fullmatch(name) and self._bus.endpoint(name)
        except StartupError as exc:
            raise MalformedMessage(f"job endpoint: {exc}") from exc
        if beat.endpoint != ours:
            raise MalformedMessage(
                f"job endpoint {beat.endpoint[:200]!r} is not an ipc socket NAME.jobs in the "
                "runtime directory"
            )

    def _count_malformed(self, channel: str, error: MalformedMessage) -> None:
        count = self.counters.malformed
        self.counters.malformed += 1
        if count % MALFORMED_LOG_INTERVAL == 0:
            logger.warning(
                "malformed message dropped",
                extra={"channel": channel, "error": str(error), "dropped": count + 1},
            )

    # --- outputs -------------------------------------------------------------------------------

    def _perform(self, actions: list[Action]) -> None:
        waiting = deque(actions)
        while waiting:
            action = waiting.popleft()
            if isinstance(action, Deliver):
                asyncio.get_running_loop().call_soon(self._deliver, action)
            elif isinstance(action, Send):
                if not self._send(action):
                    waiting.extend(self._scheduler.unsent(action, _now_ms()))
            elif isinstance(action, Cancel):
                self._publish(action)
            elif self._links is not None:
                self._relink(self._links, action)

    def _deliver(self, action: Deliver) -> None:
        deliver = self._recipients.get(action.job_id)
        if deliver is None:
            return
        if isinstance(action.result.body, Done | Failed):
            del self._recipients[action.job_id]
            outcome = "done" if isinstance(action.result.body, Done) else "failed"
            self._observer.ended(action.job_id, outcome, _now_ms())
        deliver(action.result, action.payload)

    def _send(self, send: Send) -> bool:
        frames = codec.encode(send.job, send.payload)
        sent = self._links is not None and self._links.send(
            send.worker_id, send.incarnation, frames
        )
        if sent:
            self._observer.sent(send.job.job_id, _now_ms())
        return sent

    def _publish(self, cancel: Cancel) -> None:
        if self._control is not None and not self._control.closed:
            message = CancelJobs(job_ids=cancel.job_ids, through_attempt=cancel.through_attempt)
            self._control.send(codec.encode(message))

    def _relink(self, links: Links, action: Connect | Disconnect) -> None:
        if isinstance(action, Connect):
            links.open(action)
        else:
            links.close(action.worker_id)

    def _note_change(self) -> None:
        reasons = self._describe()
        if reasons != self._reasons:
            self._reasons = reasons
            self._changed.set()
            self._changed = asyncio.Event()

    def _describe(self) -> list[str]:
        return [f"{stage.ready} {stage.reason}" for stage in self.stages().values()]


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
