"""One WebSocket of `/v1/realtime`: its reader, its one sender, its end."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable

from aiohttp import WSMessage, WSMsgType, web

from antiphon_gateway.allowance import messages_in
from antiphon_gateway.decoders import Decoders
from antiphon_gateway.encoded_audio import EncodedAudio
from antiphon_gateway.heartbeat import Heartbeat
from antiphon_gateway.input_budget import InputBudget, MeteredProtocol
from antiphon_gateway.lingering import PatientSocket
from antiphon_gateway.live_session import EXTENDED_SUBPROTOCOL, LiveSession
from antiphon_gateway.outbox import Feed
from antiphon_gateway.realtime import beta_dialect, client_events, server_events
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.seats import RETRY_AFTER_S
from antiphon_gateway.sender import WRITE_BUFFER_BYTES, narrow, send
from antiphon_proto import log

MAX_TEXT_BYTES = 16 * 1024 * 1024
CLOSE_POLICY = 1008
CLOSE_TRY_AGAIN_LATER = 1013

_RESUME_PATIENCE_S = 5.0
"""How long a client that claims a session may take to say where it goes on."""

_AUDIO_MESSAGES_A_TURN = 8
"""What is taken of one client before others get a turn of the event loop; of other messages, which
cost up to milliseconds, one. What aiohttp has queued, seconds of work, it hands out without any."""

_log = logging.getLogger(__name__)


class Connection:
    """Serves one client from upgrade to close."""

    def __init__(self, budget: InputBudget, decoders: Decoders, *, beta: bool = False) -> None:
        """`beta`: the client speaks the beta form of the protocol."""
        self._beta = beta
        self._decoders = decoders
        self._account = budget.open(self._when_too_much)
        self._session: LiveSession | None = None
        self._heartbeat = Heartbeat()
        self._stopped = False
        self.opened = False
        """Whether a session was opened here."""

    async def serve(
        self, request: web.Request, subprotocol: str | None, open_: Callable[[], LiveSession]
    ) -> web.StreamResponse:
        """Upgrade, open a session, and return when the client or the server is done."""
        socket = new_socket(subprotocol)
        try:
            if not await self._upgrade(socket, request):
                return web.Response()  # nobody is left to read it
            if (transport := request.transport) is not None:
                session = open_()
                self.opened = True
                await self._hold(socket, transport, session, session.attach())
        finally:
            self._account.close()
        return socket if socket.prepared else web.Response()  # which nobody is left to read

    async def resume(self, request: web.Request, session: LiveSession) -> web.StreamResponse:
        """Upgrade, give a session back to its client, and return when one of them is done."""
        socket = new_socket(EXTENDED_SUBPROTOCOL)
        try:
            upgraded, transport = await self._upgrade(socket, request), request.transport
            if not upgraded or transport is None:
                return web.Response()
            if (feed := await _resume(socket, session)) is not None:
                greeting = server_events.encode(session.resumed())
                await self._hold(socket, transport, session, feed, greeting)
        finally:
            self._account.close()
        return socket if socket.prepared else web.Response()  # which nobody is left to read

    async def _upgrade(self, socket: web.WebSocketResponse, request: web.Request) -> bool:
        """Answer the handshake and count what arrives; False when nobody is left to read it."""
        try:
            await socket.prepare(request)
        except ConnectionError:
            return False
        if request.transport is not None:
            request.transport.set_protocol(
                MeteredProtocol(request.protocol, self._account, self._heartbeat.heard)
            )
            narrow(request.transport)
        return True

    async def _hold(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        session: LiveSession,
        feed: Feed,
        greeting: str = "",
    ) -> None:
        """Pass messages both ways until the client or the server is done."""
        self._session = session
        log.bind(session_id=session.session_id)
        try:
            async with asyncio.TaskGroup() as group:
                if greeting:
                    await socket.send_str(greeting)
                to_client = beta_dialect.to_client if self._beta else str
                encoded = EncodedAudio(self._decoders, group, session.take_decoded, session.refuse)
                reader = group.create_task(
                    self._read(socket, session, feed, encoded), name="reader"
                )
                sender = group.create_task(
                    send(socket, transport, feed, to_client, lambda: self._stop(reader)),
                    name="sender",
                )
                beat = group.create_task(self._heartbeat.run(socket, transport), name="heartbeat")
                await asyncio.wait((reader,))
                beat.cancel()
                await encoded.close()
                if feed.closing is None:
                    sender.cancel()
        except* ConnectionError:
            pass
        finally:
            session.detach(feed, socket.close_code)

    async def _read(
        self,
        socket: web.WebSocketResponse,
        session: LiveSession,
        feed: Feed,
        encoded: EncodedAudio,
    ) -> None:
        audio_s = 0.0
        for count in itertools.count(1):
            if not audio_s or count % _AUDIO_MESSAGES_A_TURN == 0:
                await asyncio.sleep(0)
            if self._stopped:
                return
            message, is_sign = await self._receive(socket)
            if is_sign:
                audio_s = 0.0
                self._account.handled(message.data)
                await session.ready_for_more(0.0, 1.0)
                continue
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            if feed.closing is not None:
                continue  # what a client that resumes sends now, it sends again
            text = self._beta and message.type is WSMsgType.TEXT
            taken = beta_dialect.from_client(message.data) if text else message.data
            audio_s = await session.take(taken, encoded)
            self._account.handled(message.data)
            await session.ready_for_more(audio_s, messages_in(message.data, audio_s))

    async def _receive(self, socket: web.WebSocketResponse) -> tuple[WSMessage, bool]:
        """Return the next message, and whether it is a ping, answered here, or a pong."""
        self._heartbeat.listen()
        message = await socket.receive()
        is_sign = await _is_answered(socket, message)
        self._heartbeat.listening = False
        return message, is_sign

    def _stop(self, reader: asyncio.Task[None]) -> None:
        """Have the reader receive nothing more; what it has it takes to the end."""
        self._stopped = True
        if self._heartbeat.listening:
            reader.cancel()

    def _when_too_much(self) -> None:
        if self._session is not None:
            reason = f"too much input waits in the server; retry after {RETRY_AFTER_S} s"
            self._session.outbox.close(CLOSE_TRY_AGAIN_LATER, reason)


def new_socket(subprotocol: str | None) -> web.WebSocketResponse:
    """Return a WebSocket for one request, not upgraded yet."""
    return PatientSocket(
        protocols=(subprotocol,) if subprotocol else (),
        max_msg_size=MAX_TEXT_BYTES,
        compress=False,
        autoping=False,  # pings are messages, too, and count
        # aiohttp's own choice writes 256 KiB before it asks whether the transport has room.
        writer_limit=WRITE_BUFFER_BYTES,
    )


async def _is_answered(socket: web.WebSocketResponse, message: WSMessage) -> bool:
    """Answer a ping; tell whether the message is one, or a pong, and holds nothing else."""
    if message.type is WSMsgType.PING:
        await socket.pong(message.data)
    return message.type in (WSMsgType.PING, WSMsgType.PONG)


async def _resume(socket: web.WebSocketResponse, session: LiveSession) -> Feed | None:
    """Give the session to this connection; None when the client does not say how it goes on."""
    try:
        async with asyncio.timeout(_RESUME_PATIENCE_S):
            while await _is_answered(socket, first := await socket.receive()):
                pass
        event = client_events.decode(first.data) if first.type is WSMsgType.TEXT else None
        if not isinstance(event, client_events.Resume):
            raise InvalidEvent("invalid_value", "type: the first message is not antiphon.resume")
        return session.resume(event)
    except InvalidEvent as error:
        with contextlib.suppress(ConnectionError):
            await socket.send_str(server_events.encode(server_events.invalid_event(error)))
            await socket.close(code=CLOSE_POLICY, message=error.code.encode())
    except TimeoutError:
        await socket.close(code=CLOSE_POLICY, message=b"no antiphon.resume came")
    return None
