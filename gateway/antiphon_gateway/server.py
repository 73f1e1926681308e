"""The gateway's life: start, serve, stop in good order."""

import asyncio
import errno
import gc
import logging
import time
from contextlib import closing

import msgspec
from aiohttp import web

from antiphon_gateway import degradation, dispatch
from antiphon_gateway.admission import Admission
from antiphon_gateway.app import (
    HAND_OVER,
    LANGUAGE_MODELS,
    QUIET_CONNECTIONS,
    RUNNING_MODELS,
    SESSIONS,
    create_app,
)
from antiphon_gateway.door import Door
from antiphon_gateway.drain import StopSignals, drain
from antiphon_gateway.exposure import check_aiohttp, tls_context
from antiphon_gateway.hand_over import HandOver
from antiphon_gateway.job_times import JobTimes
from antiphon_gateway.listeners import lan_gateways
from antiphon_gateway.loudness import LoudnessModel
from antiphon_gateway.metrics import Metrics
from antiphon_gateway.newcomers import Newcomers
from antiphon_gateway.retrieval.service import RetrievalService
from antiphon_gateway.sessions import Sessions
from antiphon_gateway.startup import startup_errors
from antiphon_gateway.tracing import create_tracer
from antiphon_gateway.vad import Model, SileroModel, Vad
from antiphon_proto import alive, models, open_files
from antiphon_proto.bus import open_bus
from antiphon_proto.channel import Bus
from antiphon_proto.config import Config, Gateway
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import STAGES, Stage

_SWEEP_INTERVAL_S = 5.0

_log = logging.getLogger(__name__)


class _StopRequested(Exception):
    pass


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises StartupError when the port is taken, a model is missing, too few files may be open or
    aiohttp is too old.
    """
    check_aiohttp()
    open_files.allow(config)
    vad = Vad(_detector(config))
    retrieval = RetrievalService(config.retrieval)
    with closing(retrieval), open_bus(config, config.gateway.name) as bus, startup_errors():
        asyncio.run(_serve(config, bus, vad, retrieval))


def _detector(config: Config) -> Model:
    if config.turn_taking.detector == "loudness":
        return LoudnessModel()
    return SileroModel(models.find("silero-vad", config.models.directory))


async def _serve(config: Config, bus: Bus, vad: Vad, retrieval: RetrievalService) -> None:
    _collect_garbage_seldom()
    metrics = Metrics(create_tracer(config))
    admission = Admission(config.gateway.admission_queue_wait_ms)

    def waited(stage: Stage, urgent: bool, waited_ms: int, now_ms: int) -> None:
        metrics.job_waited(stage, urgent, waited_ms)
        if urgent:
            admission.note(stage, waited_ms, now_ms)

    def busy() -> frozenset[Stage]:
        now_ms = time.monotonic_ns() // 1_000_000
        refusing = admission.judge(times.urgent_waiting_ms(now_ms), now_ms)
        if refusing:
            newcomers.refused(now_ms)
        loads = {stage: dispatcher.load(stage) for stage in STAGES}
        free = {stage: load.slots - load.running for stage, load in loads.items() if load.slots}
        return refusing | newcomers.crowded(free, now_ms)

    times = JobTimes(waited, metrics.job_ended)
    newcomers = Newcomers()
    door = Door(config.gateway, busy, config.lan)
    door.tell_of_entry = lambda: newcomers.entered(time.monotonic_ns() // 1_000_000)
    door.tell_of_overload = lambda: newcomers.kept_out(time.monotonic_ns() // 1_000_000)
    dispatcher = dispatch.create(bus, config, config.gateway.name, times)
    app = create_app(config, dispatcher, vad, door, metrics, retrieval)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    hand_over = await app[HAND_OVER].listen()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(dispatcher.run(), name="dispatcher")
            group.create_task(vad.run(), name="vad")
            group.create_task(_tell_of_stages(dispatcher, app), name="degradation")
            group.create_task(app[RUNNING_MODELS].watch(dispatcher), name="running-models")
            group.create_task(metrics.watch_event_loop(), name="event-loop-lag")
            signals = StopSignals()
            await _listen(runner, config)
            assert runner.server is not None
            group.create_task(app[QUIET_CONNECTIONS].run(runner.server), name="quiet-connections")
            group.create_task(app[LANGUAGE_MODELS].change.run(), name="model-change")
            group.create_task(_sweep(app[SESSIONS], app[HAND_OVER]), name="sweep")
            group.create_task(alive.show(config.bus.directory, config.gateway.name), name="alive")
            await signals.first.wait()
            door.draining = True
            sessions = app[SESSIONS]
            open_ = {"sessions": len(sessions), "requests": door.requests.taken}
            _log.info("gateway draining", extra=open_)
            await drain(
                sessions, config.gateway.drain_s, signals.second, lambda: door.requests.taken
            )
            raise _StopRequested
    except* _StopRequested:
        _log.info("gateway stopped")
    finally:
        await runner.cleanup()
        await hand_over.cleanup()


async def _sweep(sessions: Sessions, hand_over: HandOver) -> None:
    """Delete what is kept of sessions that nobody came for."""
    while True:
        await asyncio.sleep(_SWEEP_INTERVAL_S)
        sessions.sweep(hand_over.is_alive)


async def _tell_of_stages(dispatcher: degradation.Stages, app: web.Application) -> None:
    sessions = app[SESSIONS]
    await degradation.watch(dispatcher, sessions)


def _collect_garbage_seldom() -> None:
    """Leave what was loaded alone, and look at the rest less often.

    The collector's look at everything stops all sessions for as long as it takes; reference counts
    free nearly all that a session makes; `Sessions` has what is left of ended ones collected.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


async def _listen(runner: web.AppRunner, config: Config) -> None:
    shared = config.gateway.processes > 1
    own = (own_gateway(config),) if shared else ()
    for gateway in (config.gateway, *own, *lan_gateways(config.gateway, config.lan)):
        await _listen_on(runner, gateway, shared=shared)


def own_gateway(config: Config) -> Gateway:
    """Return where one of several gateways listens for those who want it and no other."""
    port = config.gateway.port + 1 + config.gateways.index(config.gateway.name)
    return msgspec.structs.replace(config.gateway, port=port)


async def _listen_on(runner: web.AppRunner, gateway: Gateway, *, shared: bool) -> None:
    host, port = gateway.host, gateway.port
    tls = tls_context(gateway)
    site = web.TCPSite(runner, host, port, ssl_context=tls, reuse_port=shared or None)
    try:
        await site.start()
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise StartupError(
                f"port {port} is in use; choose another with --set gateway.port={port + 1}"
            ) from exc
        raise StartupError(f"cannot listen on {host}:{port}: {exc.strerror}") from exc
    _log.info("gateway listening", extra={"host": host, "port": port})
