"""Gateways behind one port hand sessions to each other: a client may come back to any of them.

Each listens in the runtime directory, where nobody but the user may connect. Who has a client for a
session of another gateway asks that one to let go of it, and goes on with the session's file.
"""

import asyncio
import logging
import socket
from pathlib import Path

import aiohttp
from aiohttp import web

from antiphon_gateway.sessions import Sessions

_ASK_S = 2.0
"""A gateway that has not answered by then is stuck, and may be asked again."""

_log = logging.getLogger(__name__)


class Stuck(Exception):
    """Raised when the gateway that holds a session does not answer."""


class HandOver:
    """One gateway's side of it."""

    def __init__(self, runtime_dir: Path, gateway: str, sessions: Sessions) -> None:
        self._runtime_dir = runtime_dir
        self._gateway = gateway
        self._sessions = sessions

    async def listen(self) -> web.AppRunner:
        """Let others ask; the caller cleans the runner up."""
        app = web.Application()
        app.router.add_post("/sessions/{session_id}/hand-over", self._let_go)
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        await web.UnixSite(runner, str(self._socket_of(self._gateway))).start()
        return runner

    async def fetch(self, session_id: str, holder: str) -> None:
        """Have another gateway let go of a session; one that is dead has done so. Raises Stuck."""
        path = str(self._socket_of(holder))
        try:
            async with (
                asyncio.timeout(_ASK_S),
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as http,
                http.post(f"http://{holder}/sessions/{session_id}/hand-over"),
            ):
                pass
        except TimeoutError as exc:
            raise Stuck(f"{holder} does not answer") from exc
        except (aiohttp.ClientError, OSError):
            _log.info("session of a gateway that is gone", extra={"session_id": session_id})
        self._sessions.take_from(holder, session_id)

    def is_alive(self, gateway: str) -> bool:
        """Tell whether a gateway's process is there, stuck or not; returns at once."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(self._socket_of(gateway)))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except BlockingIOError:
                pass  # so many wait for it already
        return True

    async def _let_go(self, request: web.Request) -> web.Response:
        self._sessions.hand_over(request.match_info["session_id"])
        return web.Response(status=204)

    def _socket_of(self, gateway: str) -> Path:
        return self._runtime_dir / f"{gateway}.resume"
