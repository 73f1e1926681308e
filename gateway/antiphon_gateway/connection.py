"""One WebSocket of `/v1/realtime`: its reader, its one sender, its end."""

import asyncio
import contextlib
import functools
import logging

import msgspec
from aiohttp import WSMsgType, web

from antiphon_gateway.audio_allowance import AudioAllowance
from antiphon_gateway.decoders import Decoders
from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.driver import CLOSE_POLICY, SessionDriver
from antiphon_gateway.encoded_audio import EncodedAudio
from antiphon_gateway.idle_timer import IdleTimer
from antiphon_gateway.input_budget import InputBudget, MeteredProtocol
from antiphon_gateway.metrics import Metrics
from antiphon_gateway.outbox import Outbox
from antiphon_gateway.realtime import catalogue, client_events
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.ids import new_id
from antiphon_gateway.session import Session
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.vad import Vad
from antiphon_proto import frames, log
from antiphon_proto.config import Config
from antiphon_proto.encoded_audio import DECODED_RATE_HZ
from antiphon_proto.errors import MalformedAudioFrame
from antiphon_proto.frames import AudioFrame, EncodedFrame, FrameKind

MAX_TEXT_BYTES = 16 * 1024 * 1024
EXTENDED_SUBPROTOCOL = "antiphon.v1"
CLOSE_GOING_AWAY = 1012
CLOSE_TRY_AGAIN_LATER = 1013

_PING_INTERVAL_S = 20.0
_CLOSE_PATIENCE_S = 4.0
"""How long a client may take to read what waits and the close code."""
_INVALID_IN_A_ROW = 100

_log = logging.getLogger(__name__)


class Connection:
    """Serves one client from upgrade to close."""

    def __init__(
        self,
        config: Config,
        dispatcher: Dispatcher,
        vad: Vad,
        budget: InputBudget,
        metrics: Metrics,
        decoders: Decoders,
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._opened_s = self._loop.time()
        self._session: Session | None = None
        limits = config.gateway
        self._idle = IdleTimer(limits.idle_timeout_s, self._when_idle)
        self._allowance = AudioAllowance(limits.audio_rate, limits.audio_burst_s, self._loop.time())
        self._account = budget.open(self._when_too_much)
        self._dispatcher = dispatcher
        self._vad = vad
        self._decoders = decoders
        self._outbox = Outbox()
        self._invalid = 0
        self._driver: SessionDriver | None = None
        self.closed = asyncio.Event()
        """Set when the connection has ended."""

    @property
    def in_turn(self) -> bool:
        """Whether the session's user speaks, waits for an answer or hears one."""
        return self._driver is not None and self._driver.in_turn

    def describe(self, now_s: float) -> dict[str, object]:
        """Return what an operator may know of the session: no words, no address."""
        state = "in turn" if self.in_turn else "idle"
        if self._session is None:
            state = "opening"
        elif self._outbox.closing is not None:
            state = "closing"
        return {
            "id": "" if self._session is None else self._session.context.session_id,
            "age_s": round(now_s - self._opened_s),
            "state": state,
            "extensions": self._session is not None and self._session.context.extensions,
        }

    def shut_down(self) -> None:
        """Ask the client to come back later: the gateway is about to stop."""
        self._outbox.close(CLOSE_GOING_AWAY, "the server is restarting")

    async def serve(
        self, request: web.Request, subprotocol: str | None, update: bytes = b""
    ) -> web.StreamResponse:
        """Upgrade, hold the session, and return when the client or the server is done.

        `update` is a `session.update` as JSON that the session begins with.
        """
        socket = web.WebSocketResponse(
            protocols=(subprotocol,) if subprotocol else (),
            max_msg_size=MAX_TEXT_BYTES,
            compress=False,
            heartbeat=_PING_INTERVAL_S,
        )
        try:
            try:
                await socket.prepare(request)
            except ConnectionError:
                return web.Response()  # nobody is left to read it
            if request.transport is not None:
                protocol = MeteredProtocol(request.protocol, self._account)
                request.transport.set_protocol(protocol)
                extensions = subprotocol == EXTENDED_SUBPROTOCOL
                await self._hold(socket, request.transport, self._open(extensions, update))
        finally:
            self._account.close()
            self._idle.stop()
            self.closed.set()
        return socket

    def _open(self, extensions: bool, update: bytes) -> Session:
        session_id = new_id("sess")
        log.bind(session_id=session_id)
        context = SessionContext(
            self._config,
            session_id=session_id,
            extensions=extensions,
            load=self._dispatcher.load,
        )
        session = Session(context, catalogue.from_config(self._config))
        if update:
            settings = client_events.SessionUpdate(session=msgspec.json.decode(update))
            session.on_event(settings, 0.0)
            session.take_effects()
        return session

    async def _hold(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport, session: Session
    ) -> None:
        """Hold the session until the client or the server is done."""
        driver = SessionDriver(
            session, self._dispatcher, self._vad, self._outbox, self._metrics.observe
        )
        self._session = session
        self._driver = driver
        _log.info("session opened", extra={"extensions": session.context.extensions})
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send(socket, transport), name="sender")
                driver.run(session.open)
                encoded = EncodedAudio(
                    self._decoders,
                    group,
                    functools.partial(self._on_decoded, session, driver),
                    lambda error: driver.run(lambda _: session.refuse(error)),
                )
                await self._read(socket, session, driver, encoded)
                await encoded.close()
                self._outbox.close(1000, "")
        except* ConnectionError:
            pass
        finally:
            driver.close()
            self._metrics.session_ended(socket.close_code)
            _log.info("session closed", extra={"close_code": socket.close_code})

    def _when_idle(self) -> None:
        if self.in_turn:
            self._idle.touch()
            return
        minutes = self._config.gateway.idle_timeout_s / 60
        self._outbox.close(CLOSE_POLICY, f"no audio and no events for {minutes:g} minutes")

    def _when_too_much(self) -> None:
        self._outbox.close(CLOSE_TRY_AGAIN_LATER, "too much input waits in the server")

    async def _send(self, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        """Send what comes into the outbox; cut off a client that takes too long to be closed."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:
                self._outbox.on_close(lambda: limit.reschedule(loop.time() + _CLOSE_PATIENCE_S))
                while (message := await self._outbox.get()) is not None:
                    if isinstance(message, str):
                        await socket.send_str(message)
                    else:
                        await socket.send_bytes(message)
                code, reason = self._outbox.closing or (1000, "")
                await socket.close(code=code, message=reason.encode())
        except TimeoutError:
            _log.info("client cut off: it does not read")
            transport.abort()

    async def _read(
        self,
        socket: web.WebSocketResponse,
        session: Session,
        driver: SessionDriver,
        encoded: EncodedAudio,
    ) -> None:
        async for message in socket:
            audio_s = 0.0
            try:
                if message.type is WSMsgType.TEXT:
                    event = client_events.decode(message.data)
                    if not await encoded.on_event(event):
                        audio_s = self._take_event(event, session, driver)
                elif message.type is WSMsgType.BINARY:
                    frame = self._frame(message.data, session)
                    if isinstance(frame, EncodedFrame):
                        await encoded.take(frame)
                    else:
                        audio_s = self._take_audio(frame, session, driver)
                self._invalid = 0
            except InvalidEvent as error:
                self._refuse(error, session, driver)
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._account.handled(message.data)
            await driver.caught_up()
            await self._pause(self._allowance.take(audio_s, self._loop.time()))
            self._idle.touch()

    async def _pause(self, duration_s: float) -> None:
        """Leave the socket alone, unless it is to be closed."""
        if duration_s:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(duration_s):
                    await self._outbox.close_asked.wait()

    def _take_event(
        self, event: client_events.ClientEvent, session: Session, driver: SessionDriver
    ) -> float:
        """Take an event; return how many seconds of audio it holds."""
        driver.run(functools.partial(session.on_event, event))
        if not isinstance(event, client_events.InputAudioAppend):
            return 0.0
        form = session.input_format
        return len(event.audio) / (form.sample_bytes * form.sample_rate_hz)

    def _frame(self, data: bytes, session: Session) -> AudioFrame | EncodedFrame:
        """Return the microphone frame in a binary message."""
        if not session.context.extensions:
            raise InvalidEvent(
                "invalid_binary_message",
                f"binary messages need the subprotocol {EXTENDED_SUBPROTOCOL}",
            )
        try:
            if frames.is_encoded(data):
                return frames.decode_encoded(data)
            frame = frames.decode(data)
        except MalformedAudioFrame as error:
            raise InvalidEvent("invalid_audio_frame", str(error)) from error
        if frame.kind is not FrameKind.MICROPHONE:
            raise InvalidEvent("invalid_audio_frame", "kind is 2 (playback), a client sends 1 or 3")
        return frame

    def _take_audio(self, frame: AudioFrame, session: Session, driver: SessionDriver) -> float:
        """Take microphone audio; return how many seconds it has."""
        driver.run(
            lambda now_ms: session.on_audio(
                frame.pcm, frame.sample_rate_hz, now_ms, frame.timestamp
            )
        )
        return len(frame.pcm) / (2 * frame.sample_rate_hz)

    async def _on_decoded(
        self, session: Session, driver: SessionDriver, pcm: bytes, captured_us: int
    ) -> None:
        """Take microphone audio from a decoder; it waits there while the client is too fast."""
        driver.run(lambda now_ms: session.on_audio(pcm, DECODED_RATE_HZ, now_ms, captured_us))
        await driver.caught_up()
        audio_s = len(pcm) / (2 * DECODED_RATE_HZ)
        await self._pause(self._allowance.take(audio_s, self._loop.time()))

    def _refuse(self, error: InvalidEvent, session: Session, driver: SessionDriver) -> None:
        self._invalid += 1
        driver.run(lambda _: session.refuse(error))
        if self._invalid >= _INVALID_IN_A_ROW:
            self._outbox.close(CLOSE_POLICY, f"{_INVALID_IN_A_ROW} invalid messages in a row")
