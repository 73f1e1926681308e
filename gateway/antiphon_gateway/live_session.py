"""One session from its opening to its end, whichever connection it has."""

import asyncio
import functools
import logging
import random
from collections.abc import Callable
from typing import Protocol

from antiphon_gateway import session_snapshot
from antiphon_gateway.capture_gaps import CaptureGaps
from antiphon_gateway.driver import CLOSE_POLICY, SessionDriver
from antiphon_gateway.effects import Effect
from antiphon_gateway.encoded_audio import EncodedAudio
from antiphon_gateway.idle_timer import IdleTimer
from antiphon_gateway.keeper import Keeper
from antiphon_gateway.microphone_flow import Word
from antiphon_gateway.outbox import Feed, Outbox
from antiphon_gateway.realtime import client_events as client
from antiphon_gateway.realtime import link_events, server_events
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.resume_tokens import digest, new_token
from antiphon_gateway.session import Session
from antiphon_gateway.snapshot_files import KeptSession, SnapshotFiles
from antiphon_gateway.uplink import Uplink
from antiphon_proto import frames
from antiphon_proto.config import Config
from antiphon_proto.encoded_audio import DECODED_RATE_HZ
from antiphon_proto.errors import MalformedAudioFrame
from antiphon_proto.frames import AudioFrame, EncodedFrame, MicrophoneFrame, SilenceFrame

CLOSE_GOING_AWAY = 1012
EXTENDED_SUBPROTOCOL = "antiphon.v1"
NO_CLOSE_CODE = (None, 1006)
"""The connection ended without a close code: it was lost."""

_INVALID_IN_A_ROW = 100
_ACK_INTERVAL_S = 1.0
_RECONNECT_WITHIN_MS = 500

_log = logging.getLogger(__name__)


class MakeDriver(Protocol):
    """Makes what carries out the session's decisions."""

    def __call__(
        self, session: Session, outbox: Outbox, after_step: Callable[[list[Effect]], None], /
    ) -> SessionDriver: ...


class LiveSession:
    """A session that outlives its connections, if its client can resume."""

    def __init__(
        self,
        session: Session,
        config: Config,
        make_driver: MakeDriver,
        on_end: Callable[["LiveSession", int | None], None],
        files: SnapshotFiles,
        kept: KeptSession | None = None,
    ) -> None:
        """`on_end` is told once, with the close code or None for a lost connection.

        `kept` is what another gateway has left of the session, and is in its core already.
        """
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._opened_s = self._loop.time()
        self._session = session
        self._context = session.context
        self._on_end = on_end
        limits = config.gateway
        self.resumable = self._context.extensions and limits.resume_s > 0
        self.outbox = Outbox(keeps=self.resumable)
        self.outbox.tell_of_close = self._when_closing
        self._driver = make_driver(session, self.outbox, self._after_step)
        self._idle = IdleTimer(limits.idle_timeout_s, self._when_idle)
        tell = self._tell_flow if self._context.extensions else None
        self._uplink = Uplink(limits, self._driver, self.outbox, tell)
        self._gaps = CaptureGaps()
        self._feed: Feed | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._invalid = 0
        self._events_received = 0
        self._last_frame: int | None = None
        self._acknowledged_s = self._opened_s
        self._handed_over = False
        self._leaving = False
        self._token = new_token() if self.resumable else ""
        self.token_digest = digest(self._token) if kept is None else kept.token_digest
        self._keeper = Keeper(files, self.token_digest, kept)
        self._kept = kept
        if kept is not None:
            self._be(kept)
        self.closed = asyncio.Event()
        """Set when the session has ended."""

    def open(self) -> None:
        """Greet the client."""
        self._driver.run(self._session.open)
        if self.resumable:
            self._tell(
                link_events.SessionTicket(
                    session_id=self.session_id,
                    resume_token=self._token,
                    resume_within_s=self._config.gateway.resume_s,
                )
            )
        self._token = ""
        told = {"session_id": self.session_id, "extensions": self._context.extensions}
        _log.info("session opened", extra=told)

    def _be(self, kept: KeptSession) -> None:
        self.outbox.restore(
            kept.sent, [one.decode() if is_text else one for is_text, one in kept.messages]
        )
        self._driver.audio_frames = kept.audio_frames
        self._events_received = kept.events_received
        self._last_frame = kept.last_frame
        self._context.away = True
        self._wait_for_client()

    # --- what is known of it ---------------------------------------------------------------

    @property
    def session_id(self) -> str:
        """Id of the session."""
        return self._context.session_id

    @property
    def in_turn(self) -> bool:
        """Whether the session's user speaks, waits for an answer or hears one, here and now."""
        return self._feed is not None and self._driver.in_turn

    def describe(self, now_s: float) -> dict[str, object]:
        """Return what an operator may know of the session: no words, no address."""
        state = "in turn" if self.in_turn else "idle"
        if self.outbox.closing is not None:
            state = "closing"
        elif self._feed is None:
            state = "away"
        return {
            "id": self.session_id,
            "age_s": round(now_s - self._opened_s),
            "state": state,
            "extensions": self._context.extensions,
        }

    # --- its connections -------------------------------------------------------------------

    def attach(self) -> Feed:
        """Give the session to a connection; the one before is closed."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        self._feed = self.outbox.attach()
        self._idle.touch()
        return self._feed

    def resume(self, event: client.Resume) -> Feed:
        """Go on after the last message that the client received.

        Raises InvalidEvent, and ends the session, when what follows is not there any more.
        """
        kept, self._kept = self._kept, None
        if kept is not None:
            self.outbox.skip_to(event.last_seq)
        if self.closed.is_set() or not self.outbox.rewind(event.last_seq):
            self.end(None)
            raise InvalidEvent(
                "session_not_resumable",
                f"last_seq: what follows message {event.last_seq} of session {self.session_id} is "
                f"not kept; the last one sent is {self.outbox.sent}",
                param="last_seq",
            )
        self._uplink.begin_anew()
        feed = self.attach()
        told = {"session_id": self.session_id, "sent_again_from": event.last_seq + 1}
        _log.info("session resumed", extra=told)
        self._context.away = False
        if kept is not None:
            received = (event.received_item_id or "", event.received_samples)
            self._driver.run(
                lambda now_ms: session_snapshot.go_on(self._session, kept.core, received, now_ms)
            )
        if event.item_id is not None:
            position = client.Playout(
                item_id=event.item_id, played_ms=event.played_ms, buffered_ms=0
            )
            self._driver.run(functools.partial(self._session.on_event, position))
        self._driver.run(self._session.advance)
        return feed

    def resumed(self) -> link_events.Resumed:
        """Return what tells the client that it has the session back."""
        return link_events.Resumed(
            session_id=self.session_id,
            events_received=self._events_received,
            last_frame=self._last_frame,
        )

    def detach(self, feed: Feed, close_code: int | None) -> None:
        """The connection has ended; without a close code the session waits for another one."""
        if feed.superseded:
            return
        self._feed = None
        self.outbox.detach(feed)
        if not self.resumable or self.outbox.closing or close_code not in NO_CLOSE_CODE:
            self.end(close_code)
            return
        self._context.away = True
        self._driver.run(lambda _: None)
        _log.info("session away", extra={"session_id": self.session_id})
        self._wait_for_client()

    def _wait_for_client(self) -> None:
        self._expiry = self._loop.call_later(self._config.gateway.resume_s, self.end, None)

    def end(self, close_code: int | None) -> None:
        """End the session for good; may be called again."""
        if self.closed.is_set():
            return
        self.closed.set()
        if self._expiry is not None:
            self._expiry.cancel()
        self._driver.close()
        self._uplink.close()
        self._idle.stop()
        # The rest is cycles, which wait for the collector; audio would be over a megabyte of them.
        self.outbox.forget()
        self._session.forget_audio()
        if self.resumable:
            self._keeper.let_go(self.session_id, handed_over=self._handed_over)
        _log.info("session closed", extra={"session_id": self.session_id, "close_code": close_code})
        self._on_end(self, close_code)

    def leave_soon(self) -> None:
        """Begin no further turn here, if the client can resume: the gateway is about to stop."""
        self._leaving = self.resumable

    def shut_down(self) -> None:
        """Ask the client to come back later: the gateway is about to stop."""
        if self.outbox.closing is None and self.resumable and not self._handed_over:
            after_ms = random.randrange(_RECONNECT_WITHIN_MS)
            self._tell(link_events.Reconnect(after_ms=after_ms))
            self._handed_over = True
            self._keep()
            if self._feed is None:
                self.end(CLOSE_GOING_AWAY)
        self.outbox.close(CLOSE_GOING_AWAY, "the server is restarting")

    def hand_over(self) -> None:
        """Leave the session to another gateway, which its client has come to."""
        if self.resumable and not self.closed.is_set():
            self._keep()
            self._handed_over = True
            self.outbox.attach()  # the connection here is told that it is no more
            self.end(CLOSE_GOING_AWAY)

    # --- what the client sends -------------------------------------------------------------

    async def take(self, message: str | bytes, encoded: EncodedAudio) -> float:
        """Take a message; return how many seconds of audio it holds, if that is not compressed."""
        audio_s = 0.0
        try:
            if isinstance(message, str):
                self._events_received += 1
                event = client.decode(message)
                if not await encoded.on_event(event):
                    audio_s = self._take_event(event)
            else:
                frame = self._frame(message)
                self._last_frame = frame.seq
                if isinstance(frame, EncodedFrame):
                    await encoded.take(frame)
                else:
                    audio_s = self._take_audio(frame)
            self._invalid = 0
        except InvalidEvent as error:
            self._count_invalid(error)
        self._acknowledge_now_and_then()
        self._idle.touch()
        return audio_s

    async def ready_for_more(self, audio_s: float, messages: float) -> None:
        """Wait until the next message may be taken, after so much audio or other messages."""
        await self._uplink.ready_for_more(audio_s, messages)

    async def take_decoded(self, pcm: bytes, captured_us: int) -> None:
        """Take microphone audio from a decoder; it waits there while the client is too fast."""
        self._driver.run(
            lambda now_ms: self._session.on_audio(pcm, DECODED_RATE_HZ, now_ms, captured_us)
        )
        await self._uplink.even(len(pcm) / (2 * DECODED_RATE_HZ))
        self._idle.touch()

    def refuse(self, error: InvalidEvent) -> None:
        """Answer with an `error` event."""
        self._driver.run(lambda _: self._session.refuse(error))

    def _take_event(self, event: client.ClientEvent) -> float:
        """Take an event; return how many seconds of audio it holds."""
        if isinstance(event, client.Ack):
            self.outbox.acknowledge(event.seq)
            return 0.0
        if isinstance(event, client.Resume):
            raise InvalidEvent(
                "session_not_resumable",
                "there is no such session to resume: it is over, or its token is another, or this "
                f"is not the first message; this is session {self.session_id}",
                event_id=event.event_id,
            )
        self._driver.run(functools.partial(self._session.on_event, event))
        if not isinstance(event, client.InputAudioAppend):
            return 0.0
        form = self._session.input_format
        return len(event.audio) / (form.sample_bytes * form.sample_rate_hz)

    def _frame(self, data: bytes) -> MicrophoneFrame:
        """Return the microphone frame in a binary message."""
        if not self._context.extensions:
            raise InvalidEvent(
                "invalid_binary_message",
                f"binary messages need the subprotocol {EXTENDED_SUBPROTOCOL}",
            )
        try:
            return frames.decode_microphone(data)
        except MalformedAudioFrame as error:
            raise InvalidEvent("invalid_audio_frame", str(error)) from error

    def _take_audio(self, frame: AudioFrame | SilenceFrame) -> float:
        """Take microphone audio and silence; return how many seconds that is."""
        audio_s = 0.0
        for pcm, rate_hz, captured_us in self._gaps.filled(frame):
            self._driver.run(
                functools.partial(self._on_audio, pcm=pcm, rate_hz=rate_hz, captured_us=captured_us)
            )
            audio_s += len(pcm) / (2 * rate_hz)
        self._keeper.note_frame(frame.seq, self._session.microphone_samples)
        return audio_s

    def _on_audio(self, now_ms: float, *, pcm: bytes, rate_hz: int, captured_us: int) -> None:
        self._session.on_audio(pcm, rate_hz, now_ms, captured_us)

    def _count_invalid(self, error: InvalidEvent) -> None:
        self._invalid += 1
        self.refuse(error)
        if self._invalid >= _INVALID_IN_A_ROW:
            self.outbox.close(CLOSE_POLICY, f"{_INVALID_IN_A_ROW} invalid messages in a row")

    def _acknowledge_now_and_then(self) -> None:
        now_s = self._loop.time()
        if self.resumable and now_s - self._acknowledged_s >= _ACK_INTERVAL_S:
            self._acknowledged_s = now_s
            self._tell(
                link_events.Acknowledged(
                    events_received=self._keeper.events_received,
                    last_frame=self._keeper.last_frame,
                )
            )

    def _after_step(self, effects: list[Effect]) -> None:
        """Keep the session before the client learns more of it than was kept."""
        if self.resumable and session_snapshot.is_due(effects):
            self._keep()
        if self._leaving and not self._session.owes_answer:
            self.shut_down()

    def _keep(self) -> None:
        if self._kept is None:  # else the file tells more than this core, which did not go on yet
            self._keeper.keep(
                self._session, self.outbox, self._driver.audio_frames, self._events_received
            )

    def tell(self, event: server_events.Degraded) -> None:
        """Tell a client with extensions how the server is."""
        if self._context.extensions:
            self._driver.run(lambda _: self._context.send(event))

    # --- inside ----------------------------------------------------------------------------

    def _tell(self, event: server_events.ServerEvent) -> None:
        self.outbox.put(server_events.encode(event))

    def _tell_flow(self, microphone: Word) -> None:
        self._tell(link_events.Flow(microphone=microphone))

    def _when_closing(self) -> None:
        if self._feed is None:
            code, _ = self.outbox.closing or (None, "")
            self._loop.call_soon(self.end, code)

    def _when_idle(self) -> None:
        if self.in_turn:
            self._idle.touch()
            return
        minutes = self._config.gateway.idle_timeout_s / 60
        self.outbox.close(CLOSE_POLICY, f"no audio and no events for {minutes:g} minutes")
