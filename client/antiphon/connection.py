"""One session with a Realtime server: events and audio both ways.

    async with connect("ws://localhost:8080") as talk:
        await talk.send({"type": "response.create"})
        async for message in talk:
            ...

With a server of this project audio travels as binary frames (subprotocol `antiphon.v1`), and a lost
connection is replaced by another one in which the session goes on; with any other Realtime server
audio travels as base64, and the session ends with its connection.
"""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from antiphon import events
from antiphon.link import Link, why_closed
from antiphon.playout_clock import PlayoutClock
from antiphon.server_address import (
    ConnectionClosed,
    ConnectionFailed,
    realtime_url,
    refused,
    unreachable,
)
from antiphon.simulated_microphone import SimulatedMicrophone
from antiphon.task_groups import failure_unwrapped
from antiphon_proto import frames
from antiphon_proto.audio import Resampler, read_wav
from antiphon_proto.errors import ProtocolError

OPEN_TIMEOUT_S = 15.0
MAX_WAITING_MESSAGES = 1024
"""When a consumer is this far behind, nothing more is read from the network."""
MAX_STREAMS = 256
"""Audio streams remembered; the oldest is forgotten first."""
PLAYOUT_REPORT_S = 0.1
BASE64_SAMPLE_RATE_HZ = 24_000
MICROPHONE_HZ = 16_000
TRUNCATE_ID = "truncate"
"""Id of the events that this file sends by itself; an error about them concerns nobody."""


class Audio(NamedTuple):
    """A piece of a response's speech, as PCM16 mono."""

    response_id: str
    item_id: str
    sample_rate_hz: int
    pcm: bytes
    received_s: float
    """Time of arrival on the monotonic clock."""


Message = events.Event | Audio


@contextlib.asynccontextmanager
async def connect(
    url: str, *, api_key: str = "", playout: PlayoutClock | None = None
) -> AsyncIterator["Connection"]:
    """Open a session and close it at the end of the block.

    `playout`: the simulated listener of its audio, when there is to be a special one.
    Raises ConnectionFailed when there is no session to be had, ConnectionClosed in the block when
    the server ends it early.
    """
    target = realtime_url(url)
    listener = PlayoutClock() if playout is None else playout

    def position() -> tuple[str, int] | None:
        now = listener.position(time.monotonic())
        return (now.item_id, now.played_ms) if now is not None else None

    async with (
        aiohttp.ClientSession() as http,
        contextlib.aclosing(Link(http, target, position)) as link,
    ):
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                session = await _open(link, api_key)
        except aiohttp.WSServerHandshakeError as exc:
            raise refused(target, exc.status, exc.headers or {}) from exc
        except TimeoutError as exc:
            cause = f"{target} did not open a session within {OPEN_TIMEOUT_S:.0f} s"
            raise ConnectionFailed(cause) from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise unreachable(target, str(exc)) from exc
        talk = Connection(link, session, listener)
        with failure_unwrapped():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(talk._read(), name="read")]
                talk.microphone.begin = lambda: tasks.append(
                    group.create_task(talk.microphone.run(), name="microphone")
                )
                if talk.binary:
                    tasks.append(group.create_task(talk._report_playout(), name="playout"))
                    tasks.append(group.create_task(link.send_held(), name="held-audio"))
                try:
                    yield talk
                finally:
                    for task in tasks:
                        task.cancel()


class Connection:
    """An open session. Iterating gives events and audio until the server closes it."""

    def __init__(self, link: Link, session: events.Session, playout: PlayoutClock) -> None:
        self.session = session
        self.playout = playout
        """The simulated listener of this session's audio."""
        self.microphone = SimulatedMicrophone(self, MICROPHONE_HZ)
        """What `say` speaks into."""
        self._link = link
        self._arrived: asyncio.Queue[Message | Exception] = asyncio.Queue(MAX_WAITING_MESSAGES)
        self._streams: dict[int, events.AudioStarted] = {}
        self._ended: Exception | None = None
        self._closed: ConnectionClosed | None = None
        self._microphone_seq = 0
        self._told_item_id = ""
        self._duck: events.Duck | None = None
        self._resampler: tuple[int, Resampler] | None = None

    @property
    def binary(self) -> bool:
        """Whether audio travels as binary frames."""
        return self._link.binary

    @property
    def resumptions(self) -> int:
        """How often the connection was lost and the session went on in another one."""
        return self._link.resumptions

    @property
    def paused(self) -> bool:
        """Whether the server is behind and has asked to hold the microphone back.

        `send_audio` keeps the newest 5 s meanwhile, and sends them when the server is ready.
        """
        return self._link.paused

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        return await self.receive()

    async def receive(self) -> Message:
        """Return the next event or piece of audio; safe to cancel.

        Raises ConnectionClosed when the server has closed the session, ProtocolError when it sent
        what cannot be read.
        """
        if self._ended and self._arrived.empty():
            raise self._ended
        message = await self._arrived.get()
        if isinstance(message, Exception):
            self._ended = message
            raise message
        return message

    async def say(self, audio: bytes | str | Path, sample_rate_hz: int = 24_000) -> None:
        """Say a recording in real time, as into a microphone; return when it was said.

        `audio` is PCM16 mono at that rate, or the path of a 16-bit WAV file. The microphone stays
        open after it, in silence, so that the server hears the end of the turn. Raises OSError or
        ValueError when the file is no such recording.
        """
        if isinstance(audio, bytes):
            pcm = audio
        else:
            pcm, sample_rate_hz = await asyncio.to_thread(read_wav, Path(audio))
        await self.microphone.say_all(pcm, sample_rate_hz)

    async def send_text(self, text: str) -> None:
        """Write to the server, and ask it to answer. Raises ConnectionClosed."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.send({"type": "conversation.item.create", "item": item})
        await self.send({"type": "response.create"})

    async def send(self, event: Mapping[str, Any]) -> None:
        """Send a client event. Raises ConnectionClosed when the session has ended."""
        try:
            await self._link.send_event(event)
        except ConnectionClosed as exc:
            raise self._closed or exc from None

    async def send_audio(self, pcm: bytes, sample_rate_hz: int, *, captured_s: float) -> None:
        """Send PCM16 mono of the microphone, its first sample captured at that monotonic time.

        Raises ConnectionClosed when the session has ended.
        """
        if not self.binary:
            resampled = self._to_base64_rate(pcm, sample_rate_hz)
            audio = base64.b64encode(resampled).decode()
            await self.send({"type": "input_audio_buffer.append", "audio": audio})
            return
        seq = self._microphone_seq
        frame = frames.AudioFrame(
            frames.FrameKind.MICROPHONE,
            seq,
            round(captured_s * 1_000_000),
            sample_rate_hz,
            0,
            pcm,
        )
        self._microphone_seq += 1
        try:
            await self._link.send_frame(frame.encode(), seq, pcm, sample_rate_hz)
        except ConnectionClosed as exc:
            raise self._closed or exc from None

    async def _read(self) -> None:
        """Queue what arrives, and last of all why nothing more will."""
        try:
            while True:
                before = self.resumptions
                raw = await self._link.receive()
                now_s = time.monotonic()
                if self.resumptions > before and self._duck and self._duck.ducked:
                    # The gateway that would say so may be gone.
                    loud = events.Duck(
                        type="antiphon.duck", item_id=self._duck.item_id, ducked=False
                    )
                    await self._arrived.put(await self._take_event(loud, now_s) or loud)
                message: Message | None = None
                if raw.type is aiohttp.WSMsgType.TEXT:
                    message = await self._take_event(events.parse(raw.data), now_s)
                else:
                    message = self._take_frame(raw.data, now_s)
                    await self._tell_played(message)
                if message:
                    await self._arrived.put(message)
        except ConnectionClosed as exc:
            self._closed = exc
            await self._arrived.put(exc)
        except ProtocolError as exc:
            await self._arrived.put(exc)

    async def _take_event(self, event: events.Event, now_s: float) -> Message | None:
        if isinstance(event, events.AudioStarted):
            self._streams[event.stream] = event
            if len(self._streams) > MAX_STREAMS:
                del self._streams[next(iter(self._streams))]
        elif isinstance(event, events.AudioDelta):
            rate = self.session.audio.output.format.rate
            return self._hear(event.response_id, event.item_id, rate, event.delta, now_s)
        elif isinstance(event, events.ErrorEvent) and event.error.event_id == TRUNCATE_ID:
            return None
        elif isinstance(event, events.Duck):
            self._duck = event
            (self.playout.pause if event.paused else self.playout.play_on)(now_s)
        elif isinstance(event, events.SpeechStarted):
            await self._interrupt(now_s)
        elif isinstance(event, events.ResponseDone) and event.response.status == "cancelled":
            self.playout.flush(now_s)
        return event

    async def _tell_played(self, audio: Audio) -> None:
        """Say when the first audio of an item is played: the server can then tell the whole wait.

        The simulated listener plays audio as it arrives, behind what it plays already.
        """
        if audio.item_id == self._told_item_id:
            return
        self._told_item_id = audio.item_id
        length_s = len(audio.pcm) / 2 / audio.sample_rate_hz
        started_us = round((self.playout.end_s - length_s) * 1_000_000)
        received_us = min(round(audio.received_s * 1_000_000), started_us)
        times = {"received_us": received_us, "started_us": started_us, "heard_us": started_us}
        with contextlib.suppress(ConnectionClosed):
            await self.send({"type": "antiphon.turn.played", "item_id": audio.item_id, **times})

    def _take_frame(self, frame: bytes, now_s: float) -> Audio:
        audio = frames.decode(frame)
        stream = self._streams.get(audio.stream)
        if stream is None or audio.kind is not frames.FrameKind.PLAYBACK:
            raise ProtocolError(f"the server sent audio of the unknown stream {audio.stream}")
        return self._hear(
            stream.response_id, stream.item_id, stream.sample_rate_hz, audio.pcm, now_s
        )

    def _hear(self, response_id: str, item_id: str, rate: int, pcm: bytes, now_s: float) -> Audio:
        self.playout.received(item_id, len(pcm) / 2 / rate, now_s)
        self._link.note_audio(item_id, len(pcm) // 2)
        return Audio(response_id, item_id, rate, pcm, now_s)

    async def _interrupt(self, now_s: float) -> None:
        """Fall silent when the user speaks, and say how much was heard."""
        if cut := self.playout.flush(now_s):
            with contextlib.suppress(ConnectionClosed):
                await self.send(
                    {
                        "type": "conversation.item.truncate",
                        "event_id": TRUNCATE_ID,
                        "item_id": cut.item_id,
                        "content_index": 0,
                        "audio_end_ms": cut.played_ms,
                    }
                )

    async def _report_playout(self) -> None:
        while not self._link.closed:
            await asyncio.sleep(PLAYOUT_REPORT_S)
            if position := self.playout.report(time.monotonic()):
                with contextlib.suppress(ConnectionClosed):
                    await self.send({"type": "antiphon.playout", **position._asdict()})

    def _to_base64_rate(self, pcm: bytes, sample_rate_hz: int) -> bytes:
        if self._resampler is None or self._resampler[0] != sample_rate_hz:
            self._resampler = sample_rate_hz, Resampler(sample_rate_hz, BASE64_SAMPLE_RATE_HZ)
        return self._resampler[1].feed(pcm)


async def _open(link: Link, api_key: str) -> events.Session:
    """Open a WebSocket; return the session that the server announces on it."""
    raw = await link.open(api_key)
    if raw.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
        raise why_closed(raw)
    event = events.parse(raw.data) if raw.type is aiohttp.WSMsgType.TEXT else None
    if isinstance(event, events.ErrorEvent):
        raise ConnectionFailed(f"the server refused the session: {event.error.message}")
    if not isinstance(event, events.SessionCreated):
        raise ConnectionFailed("the server did not begin with session.created")
    return event.session
