"""The aiohttp application: routes, and what they share."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from antiphon_gateway.connection import Connection
from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.security import Gatekeeper, handshake_of
from antiphon_gateway.vad import Vad
from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError

CONFIG = web.AppKey("config", Config)
GATEKEEPER = web.AppKey("gatekeeper", Gatekeeper)
DISPATCHER = web.AppKey("dispatcher", Dispatcher)
VAD = web.AppKey("vad", Vad)
CONNECTIONS: web.AppKey[set[Connection]] = web.AppKey("connections", set)
DRAINING = web.AppKey("draining", asyncio.Event)

_RETRY_AFTER_S = "5"
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; connect-src 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def create_app(config: Config, dispatcher: Dispatcher, vad: Vad) -> web.Application:
    """Return the application; its dispatcher and detector are run by `server`."""
    app = web.Application(middlewares=[_refuse_foreign_hosts])
    app[CONFIG] = config
    app[GATEKEEPER] = Gatekeeper(config.gateway)
    app[DISPATCHER] = dispatcher
    app[VAD] = vad
    app[CONNECTIONS] = set()
    app[DRAINING] = asyncio.Event()
    app.on_response_prepare.append(_add_page_headers)
    page = page_directory()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/v1/realtime", realtime)
    app.router.add_get("/", lambda _: _file(page / "index.html"))
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
    if not request.app[GATEKEEPER].is_own_host(request.headers.get("Host", "")):
        return web.json_response({"error": {"message": "unknown host name"}}, status=403)
    return await handler(request)


async def healthz(_: web.Request) -> web.Response:
    """Answer that the process is alive."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Answer 200 when every stage is warm and 503 with the reasons when not."""
    stages = request.app[DISPATCHER].stages()
    draining = request.app[DRAINING].is_set()
    ready = not draining and all(stage.ready for stage in stages.values())
    body = {
        "ready": ready,
        "draining": draining,
        "stages": {
            name: {"ready": stage.ready, "reason": stage.reason} for name, stage in stages.items()
        },
    }
    return web.json_response(body, status=200 if ready else 503)


async def realtime(request: web.Request) -> web.StreamResponse:
    """Hold one Realtime session."""
    app = request.app
    verdict = app[GATEKEEPER].judge(handshake_of(request))
    if not verdict.allowed:
        return web.json_response({"error": {"message": verdict.reason}}, status=verdict.status)
    connections = app[CONNECTIONS]
    limit = app[CONFIG].gateway.max_sessions
    if app[DRAINING].is_set() or len(connections) >= limit:
        reason = (
            "the server is stopping" if app[DRAINING].is_set() else f"{limit} sessions are open"
        )
        return web.json_response(
            {"error": {"message": reason}}, status=503, headers={"Retry-After": _RETRY_AFTER_S}
        )
    connection = Connection(app[CONFIG], app[DISPATCHER], app[VAD])
    connections.add(connection)
    try:
        return await connection.serve(request, verdict.subprotocol)
    finally:
        connections.discard(connection)


async def _file(path: Path) -> web.FileResponse:
    return web.FileResponse(path)


async def _add_page_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_PAGE_HEADERS)
