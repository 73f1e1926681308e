"""A Realtime client for tests: keeps every event, speaks recordings, waits for what it is told."""

import asyncio
import base64
import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import jiwer
import numpy as np

from antiphon_proto import frames
from antiphon_proto.audio import Resampler, read_wav
from antiphon_proto.frames import AudioFrame, FrameKind

DATA = Path(__file__).parents[1] / "data"
SPEECH = DATA / "speech"
OUT_HZ = 24_000
MIC_HZ = 16_000
Event = dict[str, Any]


class Closed(Exception):
    """Raised when the server closed the connection while an event was awaited."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class Client:
    """One session. With `extended` it speaks `antiphon.v1` and binary audio."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.extended = socket.protocol == "antiphon.v1"
        self.events: list[Event] = []
        self.audio = bytearray()
        """All response audio, PCM16 at 24 kHz."""
        self._seq = itertools.count()

    # --- sending ---------------------------------------------------------------------------

    async def send(self, type_: str, **fields: Any) -> None:
        """Send an event."""
        await self.socket.send_json({"type": type_, **fields})

    async def update(self, **session: Any) -> Event:
        """Change the session; return it as it is then."""
        await self.send("session.update", session={"type": "realtime", **session})
        return (await self.event("session.updated"))["session"]  # type: ignore[no-any-return]

    async def push_to_talk(self) -> None:
        """Switch turn detection off."""
        await self.update(audio={"input": {"turn_detection": None}})

    async def text_only(self) -> None:
        """Ask for written answers."""
        await self.update(output_modalities=["text"])

    async def say_text(self, text: str, **response: object) -> None:
        """Add a typed message and ask for a response, with settings of its own."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.send("conversation.item.create", item=item)
        await self.send("response.create", **({"response": response} if response else {}))

    async def append(self, pcm: bytes) -> None:
        """Send microphone audio, PCM16 at 16 kHz."""
        if self.extended:
            for at in range(0, len(pcm), 32_000):
                await self.socket.send_bytes(self._frame(pcm[at : at + 32_000]))
            return
        resampled = Resampler(MIC_HZ, OUT_HZ).feed(pcm, last=True)
        audio = base64.b64encode(resampled).decode()
        await self.send("input_audio_buffer.append", audio=audio)

    async def speak(self, recording: str, silence_s: float = 2.5) -> None:
        """Send a recording and silence, as fast as the network takes them."""
        await self.append(speech(recording) + silence(silence_s))

    def _frame(self, pcm: bytes) -> bytes:
        seq = next(self._seq)
        return AudioFrame(FrameKind.MICROPHONE, seq, seq * 1000, MIC_HZ, 0, pcm).encode()

    # --- receiving -------------------------------------------------------------------------

    async def receive(self) -> Event:
        """Return the next event; audio is collected and given as an event of type `audio`.

        Raises Closed.
        """
        message = await self.socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            event: Event = message.json()
            if event["type"] == "response.output_audio.delta":
                self.audio += base64.b64decode(event["delta"])
        elif message.type is aiohttp.WSMsgType.BINARY:
            frame = frames.decode(message.data)
            self.audio += frame.pcm
            event = {"type": "audio", "stream": frame.stream, "timestamp": frame.timestamp}
            event |= {"pcm": frame.pcm, "pcm_bytes": len(frame.pcm)}
        elif message.type is aiohttp.WSMsgType.CLOSE:
            raise Closed(message.data)
        else:
            raise Closed(self.socket.close_code)
        self.events.append(event)
        return event

    async def event(
        self, type_: str, matches: Callable[[Event], bool] = lambda _: True, within_s: float = 30.0
    ) -> Event:
        """Return the next event of a type. An `error` event that nobody asked for fails the test.

        Raises Closed.
        """
        try:
            async with asyncio.timeout(within_s):
                while True:
                    event = await self.receive()
                    if event["type"] == type_ and matches(event):
                        return event
                    assert event["type"] != "error", event
        except TimeoutError:
            seen = ", ".join(event["type"] for event in self.events)
            raise AssertionError(f"no {type_} within {within_s} s; there was: {seen}") from None

    async def done(self, within_s: float = 30.0) -> Event:
        """Return the response that ends next."""
        response: Event = (await self.event("response.done", within_s=within_s))["response"]
        return response

    async def error(self) -> Event:
        """Return the body of the next error event."""
        body: Event = (await self.event("error"))["error"]
        return body

    async def close_code(self) -> int | None:
        """Read until the server closes; return the code."""
        async with asyncio.timeout(30):
            while True:
                try:
                    await self.receive()
                except Closed as closed:
                    return closed.code

    # --- what came -------------------------------------------------------------------------

    def of_type(self, *types: str) -> list[Event]:
        """Return the events of some types so far."""
        return [event for event in self.events if event["type"] in types]

    @property
    def transcripts(self) -> list[str]:
        """What was understood, one per utterance."""
        kind = "conversation.item.input_audio_transcription.completed"
        return [event["transcript"] for event in self.of_type(kind)]

    @property
    def reply_deltas(self) -> str:
        """The text of all responses as it was shown."""
        kinds = ("response.output_audio_transcript.delta", "response.output_text.delta")
        return "".join(event["delta"] for event in self.of_type(*kinds))


class Microphone:
    """Sends a session's microphone in real time: silence, and recordings when told to."""

    def __init__(self, client: Client, send: Callable[[bytes], Any] | None = None) -> None:
        self._send = send or client.append
        self._speech = b""
        self.speaking = asyncio.Event()
        self.said = asyncio.Event()

    def say(self, pcm: bytes) -> None:
        """Begin to send a recording, PCM16 at 16 kHz."""
        self._speech = pcm
        self.said.clear()

    async def run(self, chunk_ms: int = 40) -> None:
        """Send until cancelled."""
        chunk_bytes = MIC_HZ * chunk_ms // 1000 * 2
        began_s = time.monotonic()
        for index in itertools.count(1):
            chunk, self._speech = self._speech[:chunk_bytes], self._speech[chunk_bytes:]
            await asyncio.sleep(max(0.0, began_s + index * chunk_ms / 1000 - time.monotonic()))
            await self._send(chunk.ljust(chunk_bytes, b"\0"))
            if not self._speech:
                self.said.set()


@contextlib.asynccontextmanager
async def connected(
    url: str, *, extended: bool = False, headers: dict[str, str] | None = None
) -> AsyncIterator[Client]:
    """Open a session and close it after the block. Raises aiohttp.WSServerHandshakeError."""
    protocols = ("antiphon.v1", "realtime") if extended else ("realtime",)
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(url, protocols=protocols, headers=headers, max_msg_size=0) as socket,
    ):
        client = Client(socket)
        await client.event("session.created")
        yield client


@contextlib.asynccontextmanager
async def open_microphone(microphone: Microphone) -> AsyncIterator[Microphone]:
    """Run a microphone during the block."""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(microphone.run())
        try:
            yield microphone
        finally:
            running.cancel()


def speech(recording: str) -> bytes:
    """Return a recording of `tests/data/speech` as PCM16 at 16 kHz."""
    pcm, rate = read_wav(SPEECH / f"{recording}.wav")
    assert rate == MIC_HZ
    return pcm


def silence(seconds: float) -> bytes:
    """Return silence at 16 kHz."""
    return bytes(2 * int(seconds * MIC_HZ))


def noise(seconds: float, seed: int = 1) -> bytes:
    """Return quiet white noise at 16 kHz."""
    samples = np.random.default_rng(seed).normal(0, 300, int(seconds * MIC_HZ))
    return samples.astype("<i2").tobytes()


_WORDS = jiwer.Compose(
    [
        jiwer.ToLowerCase(),
        # A listener writes the spoken "2:08am" as "208 a.m.": no word was misheard.
        jiwer.SubstituteRegexes({r"(\d+)(?::(\d\d))?\s*([ap])\.?m\b\.?": r"\1\2 \3m"}),
        jiwer.RemovePunctuation(),
        jiwer.RemoveMultipleSpaces(),
        jiwer.Strip(),
        jiwer.ReduceToListOfListOfWords(),
    ]
)


def word_errors(reference: str | Sequence[str], hypothesis: str | Sequence[str]) -> float:
    """Return the word error rate, over all pairs; case and punctuation do not count."""
    pairs = (
        [reference] if isinstance(reference, str) else list(reference),
        [hypothesis] if isinstance(hypothesis, str) else list(hypothesis),
    )
    return float(jiwer.wer(*pairs, reference_transform=_WORDS, hypothesis_transform=_WORDS))


def reply_errors(text: str, heard: str) -> float:
    """Return the word error rate of what was heard of a reply; what has digits does not count.

    "20:45" is rightly heard as "20, 45", "2045" and "a quarter to nine".
    """
    words, heard = (re.sub(r"\S*\d\S*", "", each) for each in (text, heard))
    return word_errors(words, heard) if re.search(r"\w", words) else float(not heard)
