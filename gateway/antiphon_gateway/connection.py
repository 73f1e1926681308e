"""One WebSocket of `/v1/realtime`: its reader, its one sender, its end."""

import asyncio
import functools
import logging

from aiohttp import WSMsgType, web

from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.driver import CLOSE_POLICY, SessionDriver
from antiphon_gateway.outbox import Outbox
from antiphon_gateway.realtime import catalogue, client_events
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.ids import new_id
from antiphon_gateway.session import Session
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.vad import Vad
from antiphon_proto import frames, log
from antiphon_proto.config import Config
from antiphon_proto.errors import MalformedAudioFrame
from antiphon_proto.frames import FrameKind

MAX_TEXT_BYTES = 16 * 1024 * 1024
EXTENDED_SUBPROTOCOL = "antiphon.v1"
CLOSE_GOING_AWAY = 1012

_PING_INTERVAL_S = 20.0
_CLOSE_PATIENCE_S = 4.0
"""How long a client may take to read what waits and the close code."""
_INVALID_IN_A_ROW = 100

_log = logging.getLogger(__name__)


class Connection:
    """Serves one client from upgrade to close."""

    def __init__(self, config: Config, dispatcher: Dispatcher, vad: Vad) -> None:
        self._config = config
        self._dispatcher = dispatcher
        self._vad = vad
        self._outbox = Outbox()
        self._invalid = 0
        self._driver: SessionDriver | None = None
        self.closed = asyncio.Event()
        """Set when the connection has ended."""

    @property
    def in_turn(self) -> bool:
        """Whether the session's user speaks, waits for an answer or hears one."""
        return self._driver is not None and self._driver.in_turn

    def shut_down(self) -> None:
        """Ask the client to come back later: the gateway is about to stop."""
        self._outbox.close(CLOSE_GOING_AWAY, "the server is restarting")

    async def serve(self, request: web.Request, subprotocol: str | None) -> web.WebSocketResponse:
        """Upgrade, hold the session, and return when the client or the server is done."""
        socket = web.WebSocketResponse(
            protocols=(subprotocol,) if subprotocol else (),
            max_msg_size=MAX_TEXT_BYTES,
            compress=False,
            heartbeat=_PING_INTERVAL_S,
        )
        await socket.prepare(request)
        assert isinstance(request.transport, asyncio.Transport)
        extensions = subprotocol == EXTENDED_SUBPROTOCOL
        session_id = new_id("sess")
        log.bind(session_id=session_id)
        context = SessionContext(self._config, session_id=session_id, extensions=extensions)
        session = Session(context, catalogue.from_config(self._config))
        driver = SessionDriver(session, self._dispatcher, self._vad, self._outbox)
        self._driver = driver
        _log.info("session opened", extra={"extensions": extensions})
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send(socket, request.transport), name="sender")
                driver.run(session.open)
                await self._read(socket, session, driver)
                self._outbox.close(1000, "")
        except* ConnectionError:
            pass
        finally:
            driver.close()
            self.closed.set()
            _log.info("session closed", extra={"close_code": socket.close_code})
        return socket

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
        self, socket: web.WebSocketResponse, session: Session, driver: SessionDriver
    ) -> None:
        async for message in socket:
            try:
                if message.type is WSMsgType.TEXT:
                    event = client_events.decode(message.data)
                    driver.run(functools.partial(session.on_event, event))
                elif message.type is WSMsgType.BINARY:
                    self._take_audio(message.data, session, driver)
                self._invalid = 0
            except InvalidEvent as error:
                self._refuse(error, session, driver)
            await driver.caught_up()

    def _take_audio(self, data: bytes, session: Session, driver: SessionDriver) -> None:
        if not session.context.extensions:
            raise InvalidEvent(
                "invalid_binary_message",
                f"binary messages need the subprotocol {EXTENDED_SUBPROTOCOL}",
            )
        try:
            frame = frames.decode(data)
        except MalformedAudioFrame as error:
            raise InvalidEvent("invalid_audio_frame", str(error)) from error
        if frame.kind is not FrameKind.MICROPHONE:
            raise InvalidEvent("invalid_audio_frame", "kind is 2 (playback), a client sends 1")
        driver.run(lambda _: session.on_audio(frame.pcm, frame.sample_rate_hz))

    def _refuse(self, error: InvalidEvent, session: Session, driver: SessionDriver) -> None:
        self._invalid += 1
        driver.run(lambda _: session.refuse(error))
        if self._invalid >= _INVALID_IN_A_ROW:
            self._outbox.close(CLOSE_POLICY, f"{_INVALID_IN_A_ROW} invalid messages in a row")
