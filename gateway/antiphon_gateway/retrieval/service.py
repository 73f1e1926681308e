"""Runs the configured retriever on threads, so that nobody waits for it who does not want to."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points

from antiphon_gateway.retrieval.passage import GROUP, Passage, Retriever, cut
from antiphon_proto.config import Retrieval
from antiphon_proto.errors import StartupError

THREADS = 4
MAX_RUNNING = 8
"""Lookups that run or wait for a thread; more are answered with nothing."""

_log = logging.getLogger(__name__)
DeliverPassages = Callable[[tuple[Passage, ...]], None]


class RetrievalService:
    """Looks passages up for all sessions."""

    def __init__(self, settings: Retrieval) -> None:
        """Make the retriever. Reads files: not for the event loop.

        Raises StartupError when there is none of that name, or it cannot be made.
        """
        self._settings = settings
        self._retriever = create(settings)
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="retrieval")
        self._running = 0

    def ask(self, query: str, deliver: DeliverPassages) -> None:
        """Look up what the user said; `deliver` is called once, later, on the event loop."""
        loop = asyncio.get_running_loop()
        if self._retriever is None or self._running >= MAX_RUNNING:
            _log.warning("retriever is busy, answered without", extra={"running": self._running})
            loop.call_soon(deliver, ())
            return
        self._running += 1
        future = loop.run_in_executor(self._executor, self._retrieve, self._retriever, query)

        def done(found: asyncio.Future[tuple[Passage, ...]]) -> None:
            self._running -= 1
            if not found.cancelled():
                deliver(found.result())

        future.add_done_callback(done)

    def close(self) -> None:
        """Begin no lookup any more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _retrieve(self, retriever: Retriever, query: str) -> tuple[Passage, ...]:
        top_k = self._settings.top_k
        try:
            return cut(retriever.retrieve(query, top_k), top_k)
        except Exception as exc:  # noqa: BLE001 - whatever a retriever raises: answered without
            # The text of the exception may quote what the user said.
            _log.warning("retriever failed, answered without", extra={"error": type(exc).__name__})
            return ()


def create(settings: Retrieval) -> Retriever | None:
    """Return the configured retriever, None when there is none. Raises StartupError."""
    if not settings.engine:
        return None
    if settings.engine == "folder":
        from antiphon_gateway.retrieval.folder import FolderRetriever

        return FolderRetriever(settings)
    if settings.engine == "http":
        from antiphon_gateway.retrieval.http_hook import HttpRetriever

        return HttpRetriever(settings)
    points = {point.name: point for point in entry_points(group=GROUP)}
    point = points.get(settings.engine)
    if point is None:
        known = ", ".join(["folder", "http", *sorted(points)])
        raise StartupError(
            f"there is no retriever {settings.engine}; set retrieval.engine to one of: {known}"
        )
    try:
        made: Retriever = point.load()(settings)
    except StartupError:
        raise
    except Exception as exc:
        package = point.dist.name if point.dist else "?"
        raise StartupError(
            f"the retriever {point.name} of the package {package} is broken "
            f"({type(exc).__name__}: {exc}); mend or upgrade the package"
        ) from exc
    return made
