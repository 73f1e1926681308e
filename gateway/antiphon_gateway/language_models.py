"""`/v1/language_model`: which models could answer instead, and switching to one. For the owner."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import msgspec
from aiohttp import web

from antiphon_gateway import owners
from antiphon_gateway.callers import caller_of
from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.door import Door
from antiphon_gateway.model_change import Change, ModelChange
from antiphon_gateway.security import handshake_of
from antiphon_proto import larger_models, llm_servers, models, proposals
from antiphon_proto.config import Config
from antiphon_proto.llm_servers import LlmServer
from antiphon_proto.messages import WorkerState
from antiphon_proto.proposals import Proposal

PATH = "/v1/language_model"
MAX_BODY_BYTES = 4_096
BODY_TIMEOUT_S = 5.0
LOOK_AGAIN_S = 10.0
"""What servers have is not asked more often."""
_EMBEDDED = "llamacpp"
_NOT_STORED = {"Cache-Control": "no-store"}


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is there and could answer."""

    name: str
    """For the request that switches, with `url`."""
    url: str = ""
    title: str
    server: str = ""
    """What runs it; empty: the embedded engine."""
    size_bytes: int = 0


class Answers(msgspec.Struct, frozen=True):
    """The model that answers now."""

    engine: str
    model: str
    demonstration: bool
    """It only came along to show that everything works."""


class _Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    url: str = ""


class _State(msgspec.Struct, frozen=True, kw_only=True):
    answers: Answers | None
    can_switch: bool
    offers: tuple[Offer, ...]
    proposal: Proposal | None
    change: Change | None


class LanguageModels:
    """Answers the owner's page; `change.run` does what it asks."""

    def __init__(self, config: Config, door: Door, dispatcher: Dispatcher) -> None:
        self._config = config
        self._door = door
        self._dispatcher = dispatcher
        self._looking = asyncio.Lock()
        self._looked: tuple[tuple[Offer, ...], Proposal | None] = ((), None)
        self._looked_at_s: float | None = None
        self.change = ModelChange(config)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add `/v1/language_model`."""
        router.add_get(PATH, self._guarded(self._show))
        router.add_post(PATH, self._guarded(self._use))
        router.add_delete(PATH, self._guarded(self._stop))

    def _guarded(
        self, answer: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            caller = caller_of(request, behind_proxy=self._config.gateway.behind_proxy)
            verdict = owners.judge(self._door.gatekeeper, handshake_of(request), caller)
            if not verdict.allowed:
                return _error(verdict.status, verdict.reason)
            return await answer(request)

        return handler

    async def _show(self, request: web.Request) -> web.Response:
        offers, proposal = await self._look()
        state = _State(
            answers=self._answers(),
            can_switch=self.change.possible,
            offers=offers,
            proposal=proposal,
            change=self.change.latest,
        )
        body = msgspec.json.encode(state)
        return web.Response(body=body, content_type="application/json", headers=_NOT_STORED)

    async def _use(self, request: web.Request) -> web.Response:
        # A page elsewhere can send this type only after asking whether it may, and is told no.
        if request.content_type != "application/json":
            return _error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON as application/json")
        try:
            wish = msgspec.json.decode(await _body(request), type=_Wish)
        except (msgspec.DecodeError, UnicodeError, TimeoutError) as exc:
            return _error(HTTPStatus.BAD_REQUEST, f"the body is not a name and a url: {exc}")
        offers, proposal = await self._look()
        # Only what was found here can be asked for, so nobody sends conversations elsewhere.
        offered = any((offer.name, offer.url) == (wish.name, wish.url) for offer in offers)
        fetch = proposal is not None and (proposal.name, proposal.url) == (wish.name, wish.url)
        if not offered and not fetch:
            return _error(HTTPStatus.BAD_REQUEST, f"{wish.name} is not among what is offered")
        if not self.change.possible:
            return _error(HTTPStatus.CONFLICT, "this server was not started by `antiphon up`")
        if self.change.busy:
            return _error(HTTPStatus.CONFLICT, "another change is under way")
        self.change.begin(wish.name, wish.url, fetch=not offered)
        self._looked_at_s = None
        return web.json_response({}, status=HTTPStatus.ACCEPTED, headers=_NOT_STORED)

    async def _stop(self, request: web.Request) -> web.Response:
        if not self.change.stop():
            return _error(HTTPStatus.CONFLICT, "nothing is being fetched")
        return web.json_response({}, headers=_NOT_STORED)

    async def _look(self) -> tuple[tuple[Offer, ...], Proposal | None]:
        async with self._looking:
            now_s = time.monotonic()
            if self._looked_at_s is None or now_s - self._looked_at_s > LOOK_AGAIN_S:
                self._looked = await asyncio.to_thread(look, self._config)
                self._looked_at_s = now_s
            return self._looked

    def _answers(self) -> Answers | None:
        workers = [each for each in self._dispatcher.stages()["llm"].workers if each.connected]
        return _of(workers[-1]) if workers else None


def look(config: Config) -> tuple[tuple[Offer, ...], Proposal | None]:
    """Return what could answer, and what could be fetched; asks servers, so it takes a while."""
    servers = llm_servers.found_here(config)
    proposal = proposals.proposal(servers, config)
    offers = (*(offer for server in servers for offer in _served(server)), *_embedded(config))
    if proposal is not None and proposal.installed:
        proposal = None  # it is among the offers
    return offers, proposal


def _served(server: LlmServer) -> list[Offer]:
    return [
        Offer(
            name=f"{server.engine}:{model.name}",
            url=server.url,
            title=model.name,
            server=server.title,
            size_bytes=model.size_bytes,
        )
        for model in proposals.in_order(server)
    ]


def _embedded(config: Config) -> list[Offer]:
    """Return the models that the embedded engine has: installed ones, and the configured one."""
    names = [proposals.DEMONSTRATION, *(model.gguf for model in larger_models.MODELS if model.gguf)]
    manifest, cache_dir = models.manifest(), config.models.directory
    here = [name for name in names if models.is_installed(manifest[name], cache_dir)]
    if config.llm.engine == _EMBEDDED and config.llm.model not in names:
        here.append(config.llm.model)
    return [
        Offer(
            name=name,
            title=name.rpartition("/")[2],
            size_bytes=manifest[name].bytes if name in manifest else 0,
        )
        for name in here
    ]


def _of(worker: WorkerState) -> Answers:
    demonstration = (worker.engine, worker.model) == (_EMBEDDED, proposals.DEMONSTRATION)
    return Answers(worker.engine, worker.model, demonstration)


async def _body(request: web.Request) -> bytes:
    async with asyncio.timeout(BODY_TIMEOUT_S):
        body = b""
        while not request.content.at_eof() and len(body) <= MAX_BODY_BYTES:
            body += await request.content.read(MAX_BODY_BYTES + 1 - len(body))
    return body


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status, headers=_NOT_STORED)
