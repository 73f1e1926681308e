"""Loading an engine while telling the gateway about it."""

import asyncio
import logging
import threading
import time
from concurrent.futures import Future
from typing import Any

from antiphon_proto.config import Config
from antiphon_proto.messages import Loading, Stage
from antiphon_workers import registry
from antiphon_workers.engine import Engine
from antiphon_workers.links import HEARTBEAT_MS, Links

logger = logging.getLogger(__name__)


async def load(stage: Stage, config: Config, links: Links, stop: asyncio.Event) -> Engine | None:
    """Return the loaded engine, saying `Loading` meanwhile; None when stopped before.

    Raises StartupError when the engine cannot be loaded.
    """
    started_s = time.monotonic()
    loaded = asyncio.wrap_future(_start(stage, config))
    stopped = asyncio.ensure_future(stop.wait())
    either: list[asyncio.Future[Any]] = [loaded, stopped]
    try:
        while not loaded.done() and not stopped.done():
            elapsed_ms = int((time.monotonic() - started_s) * 1000)
            sent = links.report(_message(stage, config, links, elapsed_ms))
            if sent or not await links.status.writable(HEARTBEAT_MS // 5):
                await asyncio.wait(
                    either,
                    timeout=HEARTBEAT_MS / 1000,
                    return_when=asyncio.FIRST_COMPLETED,
                )
    finally:
        stopped.cancel()
    if not loaded.done():
        return None
    engine = loaded.result()
    links.load_ms = load_ms = int((time.monotonic() - started_s) * 1000)
    logger.info("engine loaded", extra={"engine": config.stage(stage).engine, "load_ms": load_ms})
    return engine


def _start(stage: Stage, config: Config) -> Future[Engine]:
    """Create and load the engine on a thread that does not keep a stopped process alive."""
    future: Future[Engine] = Future()

    def work() -> None:
        try:
            engine = registry.load(stage, config)
        except BaseException as exc:  # noqa: BLE001 - handed on to the task that waits
            future.set_exception(exc)
        else:
            future.set_result(engine)

    threading.Thread(target=work, name="load", daemon=True).start()
    return future


def _message(stage: Stage, config: Config, links: Links, elapsed_ms: int) -> Loading:
    section = config.stage(stage)
    return Loading(
        worker_id=links.worker_id,
        stage=stage,
        engine=section.engine,
        model=section.model,
        elapsed_ms=elapsed_ms,
    )
