"""`/metrics` and `/v1/status`: what operators see. Only for this machine, or with a lasting key."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from antiphon_gateway.callers import caller_of
from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.door import Door
from antiphon_gateway.input_budget import InputBudget
from antiphon_gateway.metrics import Metrics, Snapshot, families
from antiphon_gateway.security import handshake_of
from antiphon_gateway.sessions import Sessions
from antiphon_proto import __version__
from antiphon_proto.config import Config


class Operators(Collector):
    """Answers questions about the running gateway; no words of any conversation are in them."""

    def __init__(
        self,
        config: Config,
        metrics: Metrics,
        door: Door,
        dispatcher: Dispatcher,
        budget: InputBudget,
        sessions: Sessions,
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._door = door
        self._dispatcher = dispatcher
        self._budget = budget
        self._sessions = sessions
        self._started_s = time.monotonic()
        metrics.include(self)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add `/metrics` and `/v1/status`."""
        router.add_get("/metrics", self._guarded(self._show_metrics))
        router.add_get("/v1/status", self._guarded(self._show_status))

    def collect(self) -> Iterator[Metric]:
        """Yield what is read at every scrape."""
        return families(
            Snapshot(
                sessions=self._door.seats.taken,
                draining=self._door.draining,
                pending_input_bytes=self._budget.pending_bytes,
                tasks=len(asyncio.all_tasks()),
                refused=self._door.refused,
                overloaded=self._door.busy(),
                stages=self._dispatcher.stages(),
                counters=self._dispatcher.counters,
            )
        )

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: the names are known when they are collected."""
        return iter(())

    def _guarded(
        self, answer: Callable[[], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            handshake = handshake_of(request)
            caller = caller_of(request, behind_proxy=self._config.gateway.behind_proxy)
            trusted = caller.is_local and handshake.origin is None
            if not trusted and not self._door.gatekeeper.judge(handshake).key:
                message = "this needs an API key, or a request from the gateway's own machine"
                return web.json_response({"error": {"message": message}}, status=401)
            return await answer()

        return handler

    async def _show_metrics(self) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=await self._metrics.text(), headers=headers)

    async def _show_status(self) -> web.Response:
        now_s = asyncio.get_running_loop().time()
        body: dict[str, Any] = {
            "version": __version__,
            "gateway": self._config.gateway.name,
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - self._started_s),
            "draining": self._door.draining,
            "overloaded": sorted(self._door.busy()),
            "pending_input_bytes": self._budget.pending_bytes,
            "stages": msgspec.to_builtins(self._dispatcher.stages()),
            "sessions": [session.describe(now_s) for session in self._sessions],
        }
        return web.json_response(body)
