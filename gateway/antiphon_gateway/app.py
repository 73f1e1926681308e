"""The aiohttp application: routes, and what they share."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from antiphon_gateway import owners
from antiphon_gateway.browser_models import BrowserModels
from antiphon_gateway.callers import Caller, caller_of
from antiphon_gateway.client_secrets import ClientSecrets
from antiphon_gateway.connection import Connection
from antiphon_gateway.decoders import Decoders
from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.door import Door
from antiphon_gateway.hand_over import HandOver, Stuck
from antiphon_gateway.input_budget import InputBudget
from antiphon_gateway.language_models import LanguageModels
from antiphon_gateway.live_session import EXTENDED_SUBPROTOCOL, LiveSession
from antiphon_gateway.metrics import Metrics
from antiphon_gateway.neighbours.routes import Neighbours
from antiphon_gateway.operators import Operators
from antiphon_gateway.quiet_connections import QuietConnections
from antiphon_gateway.realtime import beta_dialect
from antiphon_gateway.resume_tokens import claim_in
from antiphon_gateway.retrieval.service import RetrievalService
from antiphon_gateway.running_models import RunningModels
from antiphon_gateway.seats import RETRY_AFTER_S, Refusal
from antiphon_gateway.security import Handshake, handshake_of
from antiphon_gateway.sessions import Sessions
from antiphon_gateway.vad import Vad
from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError

CONFIG = web.AppKey("config", Config)
DOOR = web.AppKey("door", Door)
DISPATCHER = web.AppKey("dispatcher", Dispatcher)
DECODERS = web.AppKey("decoders", Decoders)
RUNNING_MODELS = web.AppKey("running_models", RunningModels)
SESSIONS = web.AppKey("sessions", Sessions)
HAND_OVER = web.AppKey("hand_over", HandOver)
INPUT_BUDGET = web.AppKey("input_budget", InputBudget)
LANGUAGE_MODELS = web.AppKey("language_models", LanguageModels)
BROWSER_MODELS = web.AppKey("browser_models", BrowserModels)
QUIET_CONNECTIONS = web.AppKey("quiet_connections", QuietConnections)

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; connect-src 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
_RECOGNISER = "/src/recognition/worker.js"
_MAY_COMPILE = "; script-src 'self' 'wasm-unsafe-eval'"
"""A worker has the policy of its own script: the pages themselves cannot compile WebAssembly."""


def create_app(
    config: Config,
    dispatcher: Dispatcher,
    vad: Vad,
    door: Door,
    metrics: Metrics,
    retrieval: RetrievalService,
) -> web.Application:
    """Return the application; what runs by itself in it is run by `server`."""
    limits = config.gateway
    quiet = QuietConnections(limits.handshake_timeout_s, limits.unread_timeout_s)
    app = web.Application(middlewares=[quiet.middleware(), _refuse_foreign_hosts])
    app[CONFIG] = config
    app[DOOR] = door
    app[INPUT_BUDGET] = budget = InputBudget()
    app[QUIET_CONNECTIONS] = quiet
    app[DISPATCHER] = dispatcher
    app[RUNNING_MODELS] = running = RunningModels(config)
    app[SESSIONS] = sessions = Sessions(config, running, dispatcher, vad, metrics, retrieval)
    app[HAND_OVER] = HandOver(config.bus.directory, config.gateway.name, sessions)
    app[DECODERS] = Decoders(config.gateway.max_decoders)
    app.on_response_prepare.append(_add_page_headers)
    page = page_directory()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/v1/realtime", realtime)
    app.router.add_get("/v1/catalogue", show_catalogue)
    app[BROWSER_MODELS] = browser_models = BrowserModels(config.models.directory)
    browser_models.add_routes(app.router)
    secrets = ClientSecrets(config, running, door.gatekeeper, door.tickets)
    app.router.add_post("/v1/realtime/client_secrets", secrets.create)
    Neighbours(config, dispatcher, vad, door, app[DECODERS], running).add_routes(app.router)
    operators = Operators(config, metrics, door, dispatcher, budget, sessions)
    operators.add_routes(app.router)
    app[LANGUAGE_MODELS] = language_models = LanguageModels(config, door, dispatcher)
    language_models.add_routes(app.router)
    app.router.add_get("/", lambda _: _file(page / "index.html"))
    app.router.add_get("/doctor", lambda _: _file(page / "doctor.html"))
    app.router.add_static("/src", page / "src")
    return app


def page_directory() -> Path:
    """Return where the page's files are: in the installed package or in the source tree."""
    here = Path(__file__).resolve()
    for directory in (here.parent / "web", here.parents[2] / "web"):
        if (directory / "index.html").is_file():
            return directory
    raise StartupError("the web page is missing from this installation; install antiphon again")


@web.middleware
async def _refuse_foreign_hosts(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse names that are not ours: a page elsewhere may have pointed its own at this address."""
    if not request.app[DOOR].gatekeeper.is_own_host(handshake_of(request)):
        return web.json_response({"error": {"message": "unknown host name"}}, status=403)
    return await handler(request)


async def healthz(_: web.Request) -> web.Response:
    """Answer that the process is alive."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Answer 200 when every stage is warm and 503 with the reasons when not."""
    stages = request.app[DISPATCHER].stages()
    draining = request.app[DOOR].draining
    ready = not draining and all(stage.ready for stage in stages.values())
    body = {
        "ready": ready,
        "draining": draining,
        "stages": {
            name: {"ready": stage.ready, "reason": stage.reason} for name, stage in stages.items()
        },
    }
    return web.json_response(body, status=200 if ready else 503)


async def show_catalogue(request: web.Request) -> web.Response:
    """Answer what a page needs to know before it has a session; nothing of it is secret."""
    ours = request.app[RUNNING_MODELS].catalogue
    recognition = await asyncio.to_thread(request.app[BROWSER_MODELS].device_recognition)
    caller = caller_of(request, behind_proxy=request.app[CONFIG].gateway.behind_proxy)
    owner = owners.judge(request.app[DOOR].gatekeeper, handshake_of(request), caller).allowed
    body = {
        "voices": ours.voices,
        "simulated": ours.simulated,
        "device_recognition": recognition,
        "owner": owner,
    }
    return web.json_response(body)


async def realtime(request: web.Request) -> web.StreamResponse:
    """Hold one Realtime session."""
    app = request.app
    caller = caller_of(request, behind_proxy=app[CONFIG].gateway.behind_proxy)
    waiter = request.query.get("waiting", "")
    if request.headers.get("Upgrade", "").lower() != "websocket":
        # A browser hides from its page why a WebSocket was refused; a page can ask like this.
        if refusal := app[DOOR].look(handshake_of(request), caller, time.time(), waiter=waiter):
            return _refusal(refusal)
        body = {"error": {"message": "this is a WebSocket; connect with Upgrade: websocket"}}
        return web.json_response(body, status=426, headers={"Upgrade": "websocket"})
    handshake = handshake_of(request)
    back = await _come_back(app, handshake, caller)
    if isinstance(back, Refusal):
        return _refusal(back)
    if back is not None:
        return await Connection(app[INPUT_BUDGET], app[DECODERS]).resume(request, back)
    entry = app[DOOR].enter(handshake, caller, time.time(), waiter=waiter)
    if isinstance(entry, Refusal):
        return _refusal(entry)
    verdict, seat = entry
    extensions = verdict.subprotocol == EXTENDED_SUBPROTOCOL
    header = request.headers.get(beta_dialect.HEADER, "")
    beta = not extensions and beta_dialect.is_wanted(header, handshake.subprotocols)
    connection = Connection(app[INPUT_BUDGET], app[DECODERS], beta=beta)

    def open_session() -> LiveSession:
        return app[SESSIONS].open(
            extensions=extensions,
            update=verdict.session,
            leave=functools.partial(app[DOOR].seats.leave, seat),
            kind="transcription" if request.query.get("intent") == "transcription" else "realtime",
        )

    try:
        return await connection.serve(request, verdict.subprotocol, open_session)
    finally:
        if not connection.opened:
            app[DOOR].seats.leave(seat)


async def _come_back(
    app: web.Application, handshake: Handshake, caller: Caller
) -> LiveSession | Refusal | None:
    """Return the session that a client comes back to, or why it may not; None: it is unknown."""
    claim, sessions, door = claim_in(handshake.subprotocols), app[SESSIONS], app[DOOR]
    session, left = sessions.claimed(claim), sessions.left(claim)
    holder = None if session or left else sessions.holder(claim)
    if session is None and left is None and holder is None:
        return None
    if refusal := door.reenter(handshake):
        return refusal
    if holder is not None and claim is not None:
        try:
            await app[HAND_OVER].fetch(claim.session_id, holder)
        except Stuck as error:
            return Refusal(503, "overloaded", str(error), RETRY_AFTER_S)
        # Neither is there when it has ended meanwhile.
        session, left = sessions.claimed(claim), sessions.left(claim)
    if session is None and left is not None:
        place = door.take_back(caller)
        if isinstance(place, Refusal):
            return place
        session = sessions.restore(left, functools.partial(door.seats.leave, place))
    return session


def _refusal(refusal: Refusal) -> web.Response:
    after = refusal.retry_after_s
    headers = {} if after is None else {"Retry-After": str(after)}
    error: dict[str, object] = {"message": refusal.message}
    if refusal.position is not None:
        error["position"] = refusal.position
    return web.json_response({"error": error}, status=refusal.status, headers=headers)


async def _file(path: Path) -> web.FileResponse:
    return web.FileResponse(path)


async def _add_page_headers(request: web.Request, response: web.StreamResponse) -> None:
    cached = response.headers.get("Cache-Control")
    response.headers.update(_PAGE_HEADERS)
    if cached:
        response.headers["Cache-Control"] = cached
    if request.path == _RECOGNISER:
        response.headers["Content-Security-Policy"] += _MAY_COMPILE
    # Names of the local network have other ports without TLS, which HSTS would forbid as well.
    if request.secure and not request.app[DOOR].gatekeeper.is_for_lan(handshake_of(request)):
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
