"""`POST /v1/realtime/client_secrets`: a short-lived key for a browser, in OpenAI's form."""

import asyncio
import time
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from antiphon_gateway.listeners import Listeners
from antiphon_gateway.realtime import session_settings
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.ids import new_id
from antiphon_gateway.realtime.validation import check_free_form, convert
from antiphon_gateway.running_models import RunningModels
from antiphon_gateway.security import handshake_of
from antiphon_gateway.tickets import Tickets
from antiphon_proto.config import Config

MAX_BODY_BYTES = 512 * 1024
_BODY_TIMEOUT_S = 5.0


class _Expiry(msgspec.Struct, frozen=True):
    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, msgspec.Meta(ge=10, le=7_200)] = 600


class _Request(msgspec.Struct, frozen=True):
    expires_after: _Expiry = _Expiry()
    session: dict[str, Any] = {}


class ClientSecrets:
    """Makes short-lived keys for whoever presents a lasting one."""

    def __init__(
        self, config: Config, running: RunningModels, gatekeeper: Listeners, tickets: Tickets
    ) -> None:
        self._config = config
        self._running = running
        self._gatekeeper = gatekeeper
        self._tickets = tickets

    async def create(self, request: web.Request) -> web.Response:
        """Answer with a key that opens one session, and the session it will open."""
        verdict = self._gatekeeper.judge(handshake_of(request))
        if not verdict.allowed:
            return _error(verdict.status, verdict.reason)
        try:
            wanted = _parse(await _body(request))
            settings = self._settings(wanted.session)
        except InvalidEvent as error:
            return _error(400, error.message, code=error.code, param=error.param)
        now_s = time.time()
        update = msgspec.json.encode(wanted.session)
        lifetime_s = wanted.expires_after.seconds
        value = self._tickets.issue(verdict.key, update, now_s, lifetime_s)
        if value is None:
            return _error(429, "too many unused client secrets", headers={"Retry-After": "60"})
        body = {
            "value": value,
            "expires_at": int(now_s + lifetime_s),
            "session": settings.to_json(new_id("sess")),
        }
        return web.json_response(body, headers={"Cache-Control": "no-store"})

    def _settings(self, update: dict[str, Any]) -> session_settings.Session:
        names = self._running.catalogue
        only_transcribes = update.get("type") == "transcription"
        kind: session_settings.SessionType = "transcription" if only_transcribes else "realtime"
        return session_settings.merge(
            session_settings.default_session(self._config, names, kind), update, names
        )


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            body = await request.content.read(MAX_BODY_BYTES + 1)
            while not request.content.at_eof() and len(body) <= MAX_BODY_BYTES:
                body += await request.content.read(MAX_BODY_BYTES + 1 - len(body))
    except TimeoutError as exc:
        raise InvalidEvent("invalid_value", f"no body within {_BODY_TIMEOUT_S:g} s") from exc
    if len(body) > MAX_BODY_BYTES:
        raise InvalidEvent("invalid_value", f"the body has more than {MAX_BODY_BYTES} bytes")
    return body


def _parse(body: bytes) -> _Request:
    try:
        raw = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise InvalidEvent("invalid_json", "the body is not JSON in UTF-8") from exc
    check_free_form(raw, "body")
    return convert(raw, _Request, "")


def _error(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    error = {"message": message, "type": InvalidEvent.type, "code": code, "param": param}
    return web.json_response({"error": error}, status=status, headers=headers)
