"""One worker process: load, announce, serve, drain."""

import asyncio
import logging

from antiphon_proto import alive
from antiphon_proto.bus import open_bus
from antiphon_proto.config import Config
from antiphon_proto.messages import Goodbye, Stage
from antiphon_workers.engine import Engine
from antiphon_workers.links import Links, remove_socket, remove_stale_sockets
from antiphon_workers.loading import load
from antiphon_workers.service import Service

LINGER_MS = 1_000

logger = logging.getLogger(__name__)


class Worker:
    """Serves the jobs of one stage with one engine."""

    def __init__(self, stage: Stage, index: int, config: Config) -> None:
        self.stage: Stage = stage
        self.worker_id = f"{stage}-{index}"
        self._config = config
        self._stop = asyncio.Event()
        self._service: Service | None = None

    def request_stop(self) -> None:
        """Drain and return from `run`. Asked again: cancel what is still running."""
        if self._stop.is_set() and self._service is not None:
            self._service.cancel()
        self._stop.set()

    async def run(self) -> None:
        """Serve until `request_stop`.

        Raises StartupError when the engine or the runtime directory is not usable.
        """
        bus = open_bus(self._config, self.worker_id)
        linger_ms = 0
        try:
            directory = self._config.bus.directory
            await asyncio.to_thread(remove_stale_sockets, directory, self.worker_id)
            slots = self._config.stage(self.stage).slots
            links = Links(bus, self._config.hub, self._config.gateways, self.worker_id, slots)
            engine = await load(self.stage, self._config, links, self._stop)
            if engine is not None:
                await self._serve(links, engine)
                await engine.disconnect()
                await asyncio.to_thread(engine.close)
            links.report(Goodbye(worker_id=self.worker_id, incarnation=links.incarnation))
            await asyncio.to_thread(remove_socket, links.endpoint)
            linger_ms = LINGER_MS
            logger.info("worker stopped")
        finally:
            bus.close(linger_ms)

    async def _serve(self, links: Links, engine: Engine) -> None:
        async with asyncio.TaskGroup() as group:
            self._service = service = Service(self._config, links, engine, group)
            tasks = [
                group.create_task(service.heartbeats(), name="heartbeats"),
                group.create_task(service.jobs(), name="jobs"),
                group.create_task(service.cancellations(), name="cancellations"),
                group.create_task(
                    alive.show(self._config.bus.directory, self.worker_id), name="alive"
                ),
            ]
            await self._stop.wait()
            await service.drain()
            for task in tasks:
                task.cancel()
