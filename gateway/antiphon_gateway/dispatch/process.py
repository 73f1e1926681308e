"""The dispatcher as a process of its own: one pool of workers for several gateways.

It keeps nothing that others could not tell it again. After a restart gateways name their jobs and
workers what they run.
"""

import asyncio
import logging
import secrets
import signal
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, closing

from antiphon_gateway.dispatch.actions import PoolAction, Send, Tell
from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.malformed import MalformedLog
from antiphon_gateway.dispatch.pool import Pool
from antiphon_gateway.dispatch.remote import NOTICES_HWM, REQUESTS_HWM
from antiphon_gateway.dispatch.state import stage_state
from antiphon_gateway.dispatch.worker_side import TICK_S, WorkerSide, now_ms
from antiphon_gateway.startup import startup_errors
from antiphon_proto import alive, codec
from antiphon_proto.bus import open_bus
from antiphon_proto.channel import Bus, Message, Receiver, Sender
from antiphon_proto.config import Config
from antiphon_proto.errors import MalformedMessage
from antiphon_proto.messages import (
    STAGES,
    DispatchRequest,
    EnqueueJob,
    GatewayBeat,
    Notice,
    OpenJob,
    PoolState,
    WithdrawJobs,
)

UNCLAIMED_MS = 1_000
"""After a start: several beats of gateways, so that no worker is told to drop what is wanted."""

logger = logging.getLogger(__name__)


class DispatcherProcess:
    """A pool, the workers' sockets, and the gateways' requests."""

    def __init__(self, bus: Bus, hub: str, gateways: Sequence[str]) -> None:
        """`hub` is its own name; others than `gateways` are not answered."""
        self._bus = bus
        self._hub = hub
        self._gateways = tuple(gateways)
        self._counters = Counters()
        self._pool = Pool(self._counters, unclaimed_ms=UNCLAIMED_MS)
        self._malformed = MalformedLog(self._counters)
        self._workers = WorkerSide(bus, hub, self._pool, self._perform)
        self._notices: dict[str, Sender] = {}
        self._incarnation = secrets.token_hex(4)

    async def run(self) -> None:
        """Serve until cancelled. Raises StartupError when an endpoint cannot be bound."""
        bus = self._bus
        with ExitStack() as sockets:
            requests = bus.pull(bus.endpoint(f"{self._hub}.requests"), hwm=REQUESTS_HWM)
            sockets.enter_context(closing(requests))
            for gateway in self._gateways:
                notices = bus.push(bus.endpoint(f"{gateway}.notices"), hwm=NOTICES_HWM)
                sockets.enter_context(closing(notices))
                notices.connect()
                self._notices[gateway] = notices
            async with asyncio.TaskGroup() as group:
                group.create_task(self._workers.run(), name="workers")
                group.create_task(self._read_requests(requests), name="requests")
                group.create_task(self._watch_gateways(), name="gateways")
                logger.info("dispatcher serves", extra={"gateways": list(self._gateways)})

    async def _read_requests(self, requests: Receiver) -> None:
        while True:
            for frames in await requests.receive():
                try:
                    request, payload = codec.requests.decode(frames)
                    self._check_gateway(request, frames)
                except MalformedMessage as exc:
                    self._malformed.count("requests", exc)
                    continue
                self._take(request, payload)
            # A receive that finds messages at hand does not give way to other tasks.
            await asyncio.sleep(0)

    async def _watch_gateways(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._perform(self._pool.drop_silent_gateways(now_ms()))

    def _check_gateway(self, request: DispatchRequest, message: Message) -> None:
        name = request.job.reply_to if isinstance(request, EnqueueJob) else request.gateway
        if name not in self._gateways:
            raise MalformedMessage(f"gateway {name[:64]!r} is none of {', '.join(self._gateways)}")
        if message.sender not in ("", name):
            raise MalformedMessage(f"{message.sender} speaks as {name}")

    def _take(self, request: DispatchRequest, payload: bytes) -> None:
        if isinstance(request, EnqueueJob):
            self._perform(self._pool.enqueue(request, payload, now_ms()))
        elif isinstance(request, WithdrawJobs):
            self._perform(self._pool.withdraw(request))
        else:
            actions, unknown = self._pool.gateway_beat(request.gateway, request.jobs, now_ms())
            self._perform(actions)
            self._answer(request, unknown)

    def _answer(self, beat: GatewayBeat, unknown: tuple[OpenJob, ...]) -> None:
        state = PoolState(
            incarnation=self._incarnation,
            unknown=unknown,
            stages=tuple(stage_state(self._pool, stage, now_ms()) for stage in STAGES),
            counts=self._counters.of_pool(),
        )
        self._tell(beat.gateway, state)

    def _perform(self, actions: Sequence[PoolAction]) -> None:
        waiting = deque(actions)
        while waiting:
            action = waiting.popleft()
            if isinstance(action, Tell):
                self._tell(action.gateway, action.notice)
            elif not self._workers.do(action) and isinstance(action, Send):
                waiting.extend(self._pool.unsent(action, now_ms()))

    def _tell(self, gateway: str, notice: Notice) -> None:
        # One that is lost shows in the answer to the gateway's next beat.
        self._notices[gateway].send(codec.encode(notice))


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. Raises StartupError when an endpoint cannot be bound."""
    with open_bus(config, config.hub) as bus, startup_errors():
        asyncio.run(_serve(bus, config))


async def _serve(bus: Bus, config: Config) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    process = DispatcherProcess(bus, config.hub, config.gateways)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(process.run(), name="dispatcher")
        showing = group.create_task(alive.show(config.bus.directory, config.hub), name="alive")
        await stopped.wait()
        serving.cancel()
        showing.cancel()
    logger.info("dispatcher stopped")
