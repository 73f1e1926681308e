"""The network under a session: one WebSocket after another, resumed where the last one was lost."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from antiphon.server_address import ConnectionClosed
from antiphon.unacknowledged import Unacknowledged
from antiphon_proto.errors import ProtocolError

SUBPROTOCOLS = ("antiphon.v1", "realtime")
CLOSE_TIMEOUT_S = 3.0
HEARTBEAT_S = 20.0
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
NO_CLOSE_CODE = 1005
BROKEN = 1006
RESTARTING = 1012

_ATTEMPT_S = 5.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 2.0
_ACK_EVERY_MESSAGES = 32
_BEHIND_THE_AUDIO = ("input_audio_buffer.commit", "input_audio_buffer.clear")
"""Events that mean the audio before them."""

Position = tuple[str, int]
"""An item and how many milliseconds of it were played."""


class _LinkEvent(msgspec.Struct, frozen=True):
    """Any event, as far as this file is concerned."""

    type: str
    session_id: str = ""
    resume_token: str = ""
    resume_within_s: float = 0.0
    events_received: int = 0
    last_frame: int | None = None
    after_ms: int = 0
    microphone: str = ""


_link_events = msgspec.json.Decoder(_LinkEvent)


class Link:
    """Sends and receives; a lost connection is replaced without a word, if the server allows it."""

    def __init__(
        self, http: aiohttp.ClientSession, target: URL, position: Callable[[], Position | None]
    ) -> None:
        """`position` is asked, when a session is resumed, for what is being played."""
        self.resumptions = 0
        """How often the session went on in another connection."""
        self.paused = False
        """Whether the server has asked to hold the microphone back."""
        self._http = http
        self._target = target
        self._position = position
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._ticket: _LinkEvent | None = None
        self._kept = Unacknowledged()
        self._received = self._acknowledged = 0
        self._arrived = ("", 0)
        self._reconnect_after_s = 0.0
        self._resuming = asyncio.Lock()
        self._flows_again = asyncio.Event()

    @property
    def binary(self) -> bool:
        """Whether audio travels as binary frames."""
        return self._socket is not None and self._socket.protocol == SUBPROTOCOLS[0]

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._socket is None or (self._socket.closed and self._ticket is None)

    async def open(self, api_key: str) -> aiohttp.WSMessage:
        """Connect; return the first message."""
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._socket = await self._connect(SUBPROTOCOLS, headers)
        self._received = 1
        return await self._socket.receive()

    async def aclose(self) -> None:
        """End the session."""
        self._ticket = None
        if self._socket is not None:
            await self._socket.close()

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send an event. Raises ConnectionClosed when the session has ended."""
        if event.get("type") in _BEHIND_THE_AUDIO:
            await self._send_held(though_paused=True)
        text = msgspec.json.encode(event).decode()
        self._kept.add_event(text, keep=self._may_resume)
        await self._send(text)

    async def send_frame(self, frame: bytes, seq: int, pcm: bytes, sample_rate_hz: int) -> None:
        """Send a frame that holds this audio. Raises ConnectionClosed as `send_event` does.

        While the server has paused the microphone it is kept for later, at most 5 s of audio.
        """
        if self._may_resume or self._kept.holding:
            self._kept.add_frame(frame, seq, pcm, sample_rate_hz)
        if not self._kept.holding:
            await self._send(frame)

    async def send_held(self) -> None:
        """Send what was held back whenever the server lets the microphone go on. Runs for ever."""
        while True:
            await self._flows_again.wait()
            self._flows_again.clear()
            with contextlib.suppress(ConnectionClosed):
                await self._send_held()
            if not self.paused:
                self._kept.let_go()

    def note_audio(self, item_id: str, samples: int) -> None:
        """Audio of an item has arrived."""
        before = self._arrived[1] if self._arrived[0] == item_id else 0
        self._arrived = item_id, before + samples

    async def receive(self) -> aiohttp.WSMessage:
        """Return the next message of the conversation. Raises ConnectionClosed."""
        while True:
            assert self._socket is not None
            raw = await self._socket.receive()
            if raw.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                closed = why_closed(raw)
                if closed.close_code not in (BROKEN, RESTARTING) or self._ticket is None:
                    self._ticket = None
                    raise closed
                await self._resume(self._ticket, closed)
                continue
            self._received += 1
            await self._acknowledge()
            if not self._take(raw):
                return raw

    # --- inside ----------------------------------------------------------------------------

    @property
    def _may_resume(self) -> bool:
        """Whether there is a ticket, or the next message brings one."""
        return self._ticket is not None or (self.binary and self._received < 2)

    async def _send_held(self, *, though_paused: bool = False) -> None:
        while though_paused or not self.paused:
            if (frame := self._kept.next_held()) is None:
                break
            await self._send(frame)

    def _on_flow(self, microphone: str) -> None:
        self.paused = microphone == "pause"
        if self.paused:
            self._kept.hold()
        else:
            self._flows_again.set()

    async def _send(self, message: str | bytes) -> None:
        assert self._socket is not None
        try:
            if self._resuming.locked():
                return  # kept: it is sent when the session goes on
            if isinstance(message, str):
                await self._socket.send_str(message)
            else:
                await self._socket.send_bytes(message)
        except ConnectionError as exc:
            if self._ticket is None:
                raise ConnectionClosed(BROKEN, "") from exc
            self._kept.away()

    def _take(self, raw: aiohttp.WSMessage) -> bool:
        """Take a message that is about the connection; False for all others."""
        if raw.type is not aiohttp.WSMsgType.TEXT or '"antiphon.' not in raw.data[:40]:
            return False
        try:
            event = _link_events.decode(raw.data)
        except msgspec.DecodeError as exc:
            raise ProtocolError(f"the server sent an event that cannot be read: {exc}") from exc
        if event.type == "antiphon.session":
            self._ticket = event
        elif event.type == "antiphon.ack":
            self._kept.acknowledge(event.events_received, event.last_frame)
        elif event.type == "antiphon.flow":
            self._on_flow(event.microphone)
        elif event.type == "antiphon.reconnect":
            self._reconnect_after_s = event.after_ms / 1000
        else:
            return False
        return True

    async def _acknowledge(self) -> None:
        if self._ticket and self._received - self._acknowledged >= _ACK_EVERY_MESSAGES:
            self._acknowledged = self._received
            with contextlib.suppress(ConnectionClosed):
                await self.send_event({"type": "antiphon.ack", "seq": self._received})

    async def _resume(self, ticket: _LinkEvent, closed: ConnectionClosed) -> None:
        """Have the session back. Raises ConnectionClosed when it is over."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + ticket.resume_within_s
        wait_s, self._reconnect_after_s = self._reconnect_after_s, 0.0
        longest_s = _FIRST_WAIT_S
        async with self._resuming:
            self._kept.away()
            self.paused = False  # a pause ends with its connection
            if self._socket is not None:
                await self._socket.close()
            while loop.time() + wait_s < deadline_s:
                await asyncio.sleep(wait_s)
                try:
                    async with asyncio.timeout(_ATTEMPT_S):
                        if await self._try(ticket):
                            self.resumptions += 1
                            return
                    break
                except aiohttp.WSServerHandshakeError as exc:
                    if exc.status not in (429, 502, 503, 504):
                        break
                    after = exc.headers.get("Retry-After", "") if exc.headers else ""
                    wait_s = float(after) if after.isdigit() else longest_s
                except (aiohttp.ClientError, OSError, TimeoutError):
                    wait_s = random.uniform(longest_s / 2, longest_s)
                longest_s = min(2 * longest_s, _LONGEST_WAIT_S)
        self._ticket = None
        raise closed

    async def _try(self, ticket: _LinkEvent) -> bool:
        """Connect and ask for the session; False when the server does not have it."""
        claim = f"antiphon.resume.{ticket.session_id}.{ticket.resume_token}"
        socket = await self._connect((*SUBPROTOCOLS, claim), {})
        try:
            event: dict[str, Any] = {"type": "antiphon.resume", "last_seq": self._received}
            if (position := self._position()) is not None:
                event |= {"item_id": position[0], "played_ms": position[1]}
            if self._arrived[0]:
                event |= {
                    "received_item_id": self._arrived[0],
                    "received_samples": self._arrived[1],
                }
            await socket.send_str(msgspec.json.encode(event).decode())
            raw = await socket.receive()
            if raw.type is not aiohttp.WSMsgType.TEXT:
                raise aiohttp.ClientConnectionError("closed before it was resumed")
            answer = _link_events.decode(raw.data)
            if answer.type != "antiphon.resumed":
                await socket.close()
                return False
            for message in self._kept.resumed(answer.events_received, answer.last_frame):
                if isinstance(message, str):
                    await socket.send_str(message)
                else:
                    await socket.send_bytes(message)
        except BaseException:
            await socket.close()
            raise
        self._socket = socket
        return True

    async def _connect(
        self, protocols: tuple[str, ...], headers: dict[str, str]
    ) -> aiohttp.ClientWebSocketResponse:
        return await self._http.ws_connect(
            self._target,
            protocols=protocols,
            headers=headers,
            heartbeat=HEARTBEAT_S,
            max_msg_size=MAX_MESSAGE_BYTES,
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
        )


def why_closed(raw: aiohttp.WSMessage) -> ConnectionClosed:
    """Return the error for the message that aiohttp ends a WebSocket with."""
    if raw.type is aiohttp.WSMsgType.CLOSE:
        return ConnectionClosed(raw.data or NO_CLOSE_CODE, raw.extra or "")
    return ConnectionClosed(BROKEN, "")
