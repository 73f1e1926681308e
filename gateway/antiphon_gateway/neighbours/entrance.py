"""Who may send a request, how many at once, and how each is answered or given up."""

import asyncio
import logging
import socket as sockets
from collections.abc import Awaitable, Callable

from aiohttp import web

from antiphon_gateway.callers import caller_of
from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.door import Door
from antiphon_gateway.neighbours.jobs import Jobs
from antiphon_gateway.neighbours.refusals import RequestRefused, of_door, of_invalid
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.seats import RETRY_AFTER_S, Refusal
from antiphon_gateway.security import handshake_of
from antiphon_proto.config import Gateway
from antiphon_proto.messages import Stage

DISCONNECT_POLL_S = 0.2
"""aiohttp tells a handler of a client's leaving only by its transport."""
SEND_BUFFER_BYTES = 128 * 1024
"""Of the kernel, which doubles it, and takes more only when a third is free: seconds of audio. Its
own choice is up to 4 MB, of which a client that reads as it plays may not take a third in a
minute."""
_NOBODY_READS = 499
"""Status of an answer to a client that has left; seen in logs alone."""

_log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Work = Callable[[web.Request, Jobs], Awaitable[web.StreamResponse]]


class _ClientGone(Exception):
    """Raised when the connection was closed before the client had its answer."""


class Entrance:
    """The door of single requests: the same checks as for sessions, places of their own."""

    def __init__(self, gateway: Gateway, door: Door, dispatcher: Dispatcher) -> None:
        self._gateway = gateway
        self._door = door
        self._dispatcher = dispatcher

    def guarded(self, work: Work, stage: Stage | None = None) -> Handler:
        """Return a handler that does `work` for those who may come in.

        `stage`: what the work needs; a request is refused while that is too busy or not ready.
        The work is cancelled and its jobs are ended when the client leaves, or is cut off because
        it does not read (`quiet_connections`).
        """

        async def handler(request: web.Request) -> web.StreamResponse:
            caller = caller_of(request, behind_proxy=self._gateway.behind_proxy)
            seat = self._door.admit(handshake_of(request), caller, (stage,) if stage else ())
            if isinstance(seat, Refusal):
                return of_door(seat).response()
            try:
                return await self._serve(request, work, stage)
            finally:
                self._door.requests.leave(seat)

        return handler

    async def _serve(
        self, request: web.Request, work: Work, stage: Stage | None
    ) -> web.StreamResponse:
        answer: web.StreamResponse = web.Response(status=_NOBODY_READS)
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(_watch(request), name="client-watch")
                answer = await self._answer(request, work, stage)
                watch.cancel()
        except* _ClientGone:
            _log.info("client left before its answer", extra={"path": request.path})
        return answer

    async def _answer(
        self, request: web.Request, work: Work, stage: Stage | None
    ) -> web.StreamResponse:
        try:
            self._check_ready(stage)
            async with Jobs(self._dispatcher) as jobs:
                return await work(request, jobs)
        except InvalidEvent as error:
            return of_invalid(error).response()
        except RequestRefused as refused:
            return refused.response()
        except ConnectionError as exc:
            raise _ClientGone from exc

    def _check_ready(self, stage: Stage | None) -> None:
        state = self._dispatcher.stages()[stage] if stage else None
        if state is not None and not state.ready:
            text = f"{stage} is not ready: {state.reason}"
            raise RequestRefused(503, text, code="not_ready", retry_after_s=RETRY_AFTER_S)


async def _watch(request: web.Request) -> None:
    """Raise _ClientGone once the connection is closed."""
    line = request.get_extra_info("socket")
    if line is not None:
        line.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, SEND_BUFFER_BYTES)
    while True:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise _ClientGone
        await asyncio.sleep(DISCONNECT_POLL_S)
