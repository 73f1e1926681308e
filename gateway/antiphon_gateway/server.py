"""The gateway's life: start, serve, stop in good order."""

import asyncio
import contextlib
import errno
import logging
import signal

from aiohttp import web

from antiphon_gateway.app import CONNECTIONS, DRAINING, create_app
from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.vad import Vad
from antiphon_proto import models
from antiphon_proto.channel import Bus
from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError

_CLOSE_TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)


class _StopRequested(Exception):
    pass


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises StartupError when the port is taken or a model is missing.
    """
    vad = Vad(models.find("silero-vad", config.models.directory))
    with Bus(config.bus.directory) as bus:
        try:
            asyncio.run(_serve(config, bus, vad))
        except BaseExceptionGroup as group:
            startup, others = group.split(StartupError)
            if startup is None or others is not None:
                raise
            raise _first(startup) from None


async def _serve(config: Config, bus: Bus, vad: Vad) -> None:
    dispatcher = Dispatcher(bus, config)
    app = create_app(config, dispatcher, vad)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(dispatcher.run(), name="dispatcher")
            group.create_task(vad.run(), name="vad")
            await _listen(runner, config)
            await _wait_for_stop()
            await _drain(app)
            raise _StopRequested
    except* _StopRequested:
        _log.info("gateway stopped")
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, config: Config) -> None:
    host, port = config.gateway.host, config.gateway.port
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise StartupError(
                f"port {port} is in use; choose another with --set gateway.port={port + 1}"
            ) from exc
        raise StartupError(f"cannot listen on {host}:{port}: {exc.strerror}") from exc
    _log.info("gateway listening", extra={"host": host, "port": port})


async def _wait_for_stop() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def _first(group: BaseExceptionGroup[StartupError]) -> StartupError:
    first = group.exceptions[0]
    return first if isinstance(first, StartupError) else _first(first)


async def _drain(app: web.Application) -> None:
    """Refuse new sessions and close the open ones with a code that clients retry on."""
    app[DRAINING].set()
    for connection in app[CONNECTIONS]:
        connection.shut_down()
    closed = [connection.closed.wait() for connection in app[CONNECTIONS]]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await asyncio.gather(*closed)
