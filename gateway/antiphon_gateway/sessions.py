"""All sessions of the gateway: opened here, found again by their token, forgotten at their end."""

import asyncio
from collections.abc import Callable, Iterator

import msgspec

from antiphon_gateway import idle_memory, session_snapshot
from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.driver import SessionDriver
from antiphon_gateway.effects import Effect
from antiphon_gateway.live_session import LiveSession
from antiphon_gateway.metrics import Metrics
from antiphon_gateway.outbox import Outbox
from antiphon_gateway.realtime import client_events
from antiphon_gateway.realtime.ids import new_id
from antiphon_gateway.realtime.session_settings import SessionType
from antiphon_gateway.resume_tokens import Claim, proves
from antiphon_gateway.retrieval.service import RetrievalService
from antiphon_gateway.running_models import RunningModels
from antiphon_gateway.session import Session
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.snapshot_files import KeptSession, SnapshotFiles
from antiphon_gateway.vad import Vad
from antiphon_proto.config import Config

COLLECT_EVERY = 20
"""Sessions that ended: their parts know each other, so the collector alone frees their 50 kB."""


class Sessions:
    """The sessions that have not ended, with or without a connection."""

    def __init__(
        self,
        config: Config,
        running: RunningModels,
        dispatcher: Dispatcher,
        vad: Vad,
        metrics: Metrics,
        retrieval: RetrievalService,
    ) -> None:
        self._config = config
        self._running = running
        self._dispatcher = dispatcher
        self._vad = vad
        self._metrics = metrics
        self._files = SnapshotFiles(config.bus.directory, config.gateway.name)
        self._retrieval = retrieval
        self._live: dict[str, LiveSession] = {}
        self._ended = 0

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[LiveSession]:
        return iter(list(self._live.values()))

    def __contains__(self, session: object) -> bool:
        return session in self._live.values()

    def open(
        self,
        *,
        extensions: bool,
        update: bytes,
        leave: Callable[[], None],
        kind: SessionType = "realtime",
    ) -> LiveSession:
        """Open a session. `update` is a `session.update` as JSON that it begins with.

        Its type counts more than `kind`. `leave` is called at the session's end, to give its place
        to another one.
        """
        wanted = msgspec.json.decode(update) if update else {}
        kind = wanted.get("type", kind)
        core = self._core(new_id("sess"), extensions=extensions, kind=kind)
        if wanted:
            core.on_event(client_events.SessionUpdate(session=wanted), 0.0)
            core.take_effects()
        session = self._begin(core, leave)
        session.open()
        return session

    def claimed(self, claim: Claim | None) -> LiveSession | None:
        """Return the session that a client has a right to, if it can go on here."""
        session = self._live.get(claim.session_id) if claim is not None else None
        if claim is None or session is None or not session.resumable:
            return None
        if session.outbox.closing is not None or not proves(claim, session.token_digest):
            return None
        return session

    def left(self, claim: Claim | None) -> KeptSession | None:
        """Return what another gateway has left of the session that a client has a right to."""
        if claim is None or claim.session_id in self._live or not self._config.gateway.resume_s:
            return None
        kept = self._files.take(claim.session_id)
        return kept if kept is not None and proves(claim, kept.token_digest) else None

    def holder(self, claim: Claim | None) -> str | None:
        """Return the other gateway that has, or had, the session a client has a right to."""
        if claim is None or not self._config.gateway.resume_s:
            return None
        found = self._files.elsewhere(claim.session_id)
        return found[0] if found is not None and proves(claim, found[1].token_digest) else None

    def hand_over(self, session_id: str) -> None:
        """Let go of a session: its client is at another gateway."""
        if (session := self._live.get(session_id)) is not None:
            session.hand_over()
        else:
            self._files.hand_over(session_id)

    def take_from(self, holder: str, session_id: str) -> None:
        """Make the file of a session that another gateway had this one's."""
        self._files.take_from(holder, session_id)

    def restore(self, kept: KeptSession, leave: Callable[[], None]) -> LiveSession:
        """Go on with a session of another gateway, once its client has said where."""
        core = self._core(
            kept.core.session_id, extensions=True, first_sample=kept.microphone_samples
        )
        session_snapshot.restore(core, kept.core)
        core.take_effects()
        return self._begin(core, leave, kept)

    def sweep(self, is_alive: Callable[[str], bool]) -> None:
        """Delete what is kept of sessions that nobody came for, unless another gateway has it."""
        self._files.sweep(self._config.gateway.resume_s, self._live, is_alive)

    def _core(
        self,
        session_id: str,
        *,
        extensions: bool,
        first_sample: int = 0,
        kind: SessionType = "realtime",
    ) -> Session:
        context = SessionContext(
            self._config,
            session_id=session_id,
            extensions=extensions,
            load=self._dispatcher.load,
            first_sample=first_sample,
        )
        return Session(context, self._running.catalogue, kind)

    def _begin(
        self, core: Session, leave: Callable[[], None], kept: KeptSession | None = None
    ) -> LiveSession:
        def end(session: LiveSession, close_code: int | None) -> None:
            del self._live[session.session_id]
            self._metrics.session_ended(close_code)
            leave()
            self._ended += 1
            if self._ended % COLLECT_EVERY == 0:
                asyncio.get_running_loop().call_soon(idle_memory.release)

        session = LiveSession(core, self._config, self._make_driver, end, self._files, kept)
        self._live[session.session_id] = session
        return session

    def _make_driver(
        self, session: Session, outbox: Outbox, after_step: Callable[[list[Effect]], None]
    ) -> SessionDriver:
        observer = self._metrics.observer(session.context.session_id, self._running.catalogue.model)
        return SessionDriver(
            session,
            self._dispatcher,
            self._vad,
            outbox,
            self._retrieval,
            observer,
            after_step,
        )
