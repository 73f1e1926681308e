"""A Realtime client for tests that counts what it receives and gets its session back."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from system_client import MIC_HZ, Event

from antiphon_proto import frames
from antiphon_proto.frames import AudioFrame, FrameKind
from antiphon_workers.tts.simulated import SAMPLE_RATE_HZ, tone


class Lost(Exception):
    """Raised when the connection ended while a message was awaited."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"ended with {code}")
        self.code = code


class ResumingClient:
    """One session over any number of connections; speaks `antiphon.v1`."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.url = url
        self.events: list[Event] = []
        self.audio: dict[int, list[tuple[int, bytes]]] = {}
        """Of each stream: first sample and PCM16 of every frame, in the order of arrival."""
        self.received = 0
        """Messages of the session that arrived."""
        self.session_id = self.token = ""
        self.lost_with: list[int | None] = []
        """The close code of each connection that ended while a message was awaited."""
        self.reconnect: Event | None = None
        self._http = http
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._sent: list[tuple[int, str | bytes]] = []
        """In order: microphone frames by their numbers, events as -1."""
        self._frames_sent = 0

    @property
    def socket(self) -> aiohttp.ClientWebSocketResponse:
        """The connection."""
        assert self._socket is not None
        return self._socket

    async def connect(self) -> None:
        """Open a session."""
        self._socket = await self._open(())
        while not self.token:
            await self.receive()

    async def end_turns_after(self, silence_ms: int) -> None:
        """Have turns end after so much silence, whatever was said."""
        detection = {"type": "server_vad", "silence_duration_ms": silence_ms}
        session = {"audio": {"input": {"turn_detection": detection}}}
        await self.send("session.update", session=session)

    async def resume(self, position: tuple[str, int] | None = None) -> Event:
        """Have the session back on a new connection; send again what the server lacks.

        `position` is an item and how many milliseconds of it were played. Raises Lost.
        """
        self._socket = await self._open((f"antiphon.resume.{self.session_id}.{self.token}",))
        played: Event = {"item_id": position[0], "played_ms": position[1]} if position else {}
        if started := self.of_type("antiphon.audio.started"):
            samples = len(self.spoken(started[-1]["stream"])) // 2
            played |= {"received_item_id": started[-1]["item_id"], "received_samples": samples}
        claim = {"type": "antiphon.resume", "last_seq": self.received, **played}
        await self.socket.send_str(json.dumps(claim))
        raw = await self.socket.receive()
        if raw.type is not aiohttp.WSMsgType.TEXT:
            raise Lost(self.socket.close_code)
        answer: Event = raw.json()
        if answer["type"] == "antiphon.resumed":
            events = answer["events_received"]
            last = -1 if answer["last_frame"] is None else answer["last_frame"]
            for seq, message in self._sent:
                events -= seq < 0
                if seq > last or (seq < 0 and events < 0):
                    await self._write(message)
        return answer

    async def break_off(self) -> None:
        """Lose the connection as a dead network does: without a close code."""
        assert self.socket._conn is not None
        transport = self.socket._conn.transport
        assert transport is not None
        transport.abort()
        while not self.socket.closed:
            try:
                await self.receive()
            except Lost:
                return

    async def send(self, type_: str, **fields: Any) -> None:
        """Send an event."""
        message = json.dumps({"type": type_, **fields})
        self._sent.append((-1, message))
        await self._write(message)

    async def say_text(self, text: str) -> None:
        """Add a typed message and ask for a response."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.send("conversation.item.create", item=item)
        await self.send("response.create")

    async def append(self, pcm: bytes) -> None:
        """Send microphone audio, PCM16 at 16 kHz; kept for a resumption."""
        for at in range(0, len(pcm), 6_400):
            seq, self._frames_sent = self._frames_sent, self._frames_sent + 1
            chunk = pcm[at : at + 6_400]
            frame = AudioFrame(FrameKind.MICROPHONE, seq, seq, MIC_HZ, 0, chunk).encode()
            self._sent.append((seq, frame))
            await self._write(frame)

    async def receive(self) -> Event:
        """Return the next message as an event, `audio` for a frame. Raises Lost."""
        raw = await self.socket.receive()
        if raw.type is aiohttp.WSMsgType.BINARY:
            frame = frames.decode(raw.data)
            self.audio.setdefault(frame.stream, []).append((frame.timestamp, frame.pcm))
            event: Event = {"type": "audio", "stream": frame.stream, "at_s": time.monotonic()}
        elif raw.type is aiohttp.WSMsgType.TEXT:
            event = raw.json()
            if event["type"] == "antiphon.session":
                self.session_id, self.token = event["session_id"], event["resume_token"]
        else:
            code = raw.data if raw.type is aiohttp.WSMsgType.CLOSE else self.socket.close_code
            self.lost_with.append(code)
            raise Lost(code)
        self.received += 1
        self.events.append(event)
        return event

    async def event(self, type_: str, within_s: float = 30.0) -> Event:
        """Return the next event of a type; an `error` event fails the test. Raises Lost."""
        async with asyncio.timeout(within_s):
            while True:
                event = await self.receive()
                if event["type"] == type_:
                    return event
                assert event["type"] != "error", event

    def of_type(self, *types: str) -> list[Event]:
        """Return the events of some types so far."""
        return [event for event in self.events if event["type"] in types]

    def spoken(self, stream: int) -> bytes:
        """Return all audio of a stream; fails unless each sample came once and in order."""
        audio = bytearray()
        for first_sample, pcm in self.audio.get(stream, []):
            assert first_sample == len(audio) // 2, "audio was repeated or skipped"
            audio += pcm
        return bytes(audio)

    async def _write(self, message: str | bytes) -> None:
        with contextlib.suppress(ConnectionError):
            if isinstance(message, str):
                await self.socket.send_str(message)
            else:
                await self.socket.send_bytes(message)

    async def _open(self, offered: tuple[str, ...]) -> aiohttp.ClientWebSocketResponse:
        protocols = ("antiphon.v1", "realtime", *offered)
        return await self._http.ws_connect(self.url, protocols=protocols, max_msg_size=0)


@contextlib.asynccontextmanager
async def resuming_client(url: str) -> AsyncIterator[ResumingClient]:
    """Open a session and close it after the block."""
    async with aiohttp.ClientSession() as http:
        client = ResumingClient(http, url)
        await client.connect()
        yield client
        if not client.socket.closed:
            await client.socket.close()


def assert_is_speech_of(audio: bytes, session_id: str, clauses: list[str]) -> None:
    """Fail unless the audio is what `simulated` speaks for these clauses, sample by sample.

    The tone of a clause follows from its job's id, whose numbers only go up within a session.
    """
    at, number = 0, 0
    for clause in clauses:
        length = len(tone("", clause.strip()))
        assert at + length <= len(audio), f"{clause!r} is cut short"
        piece = audio[at : at + length]
        number = next(
            (
                candidate
                for candidate in range(number + 1, number + 200)
                if tone(f"{session_id}.{candidate}", clause.strip()) == piece
            ),
            0,
        )
        assert number, f"{clause!r} has other samples at {at // 2}"
        at += length
    assert at == len(audio), f"{(len(audio) - at) // 2} samples too many"
    assert SAMPLE_RATE_HZ == 24_000
