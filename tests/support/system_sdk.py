"""A conversation through the stock `openai` SDK; every event must be what the SDK declares."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter
from system_client import MIC_HZ, OUT_HZ, silence, speech
from whole_talk import Cut

from antiphon_proto.audio import Resampler

_CHUNK_MS = 40
_UNDECLARED = {"event.session.id", "event.session.object"}
"""What OpenAI's server sends too and the SDK's models leave out."""
_server_event: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


class SdkTalk:
    """One session: what the user says in real time, and all that came back."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.events: list[Any] = []
        self.audio = bytearray()
        """The audio of the response that is being received, or was last, at 24 kHz."""
        self._speech = b""

    def say(self, recording: str) -> None:
        """Begin to say a recording of `tests/data/speech`."""
        pcm = speech(recording)
        self._speech = Resampler(MIC_HZ, OUT_HZ).feed(pcm, last=True)

    async def microphone(self) -> None:
        """Send speech, else silence, in real time until cancelled."""
        size = OUT_HZ * _CHUNK_MS // 1000 * 2
        due_s = time.monotonic()
        while True:
            chunk, self._speech = self._speech[:size], self._speech[size:]
            await self.append(chunk.ljust(size, b"\0"))
            due_s += _CHUNK_MS / 1000
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    async def append(self, pcm: bytes) -> None:
        """Send PCM16 at 24 kHz."""
        await self.connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())

    async def event(self, type_: str, within_s: float = 45.0) -> Any:
        """Return the next event of a type."""
        async with asyncio.timeout(within_s):
            while True:
                event = await self.connection.recv()
                check(event)
                self.events.append(event)
                if event.type == "response.created":
                    self.audio.clear()
                elif event.type == "response.output_audio.delta":
                    self.audio += base64.b64decode(event.delta)
                if event.type == type_:
                    return event
                assert event.type != "error", event

    async def give_output(self, call_id: str, output: str, **response: Any) -> None:
        """Tell what a function returned, and ask for a response."""
        await self.connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call_id, "output": output}
        )
        wanted: Any = response
        await self.connection.response.create(response=wanted)

    async def retrieve(self, item_id: str) -> Any:
        """Return an item as the server has it."""
        await self.connection.conversation.item.retrieve(item_id=item_id)
        return (await self.event("conversation.item.retrieved")).item

    async def speak_over(self, recording: str) -> Cut:
        """Say a recording over the answer that comes; stop it, as a client does that plays audio
        from its arrival on."""
        first = await self.event("response.output_audio.delta")
        began_s = time.monotonic()
        while len(self.audio) < 2 * OUT_HZ:  # a second: the model's answers may be short
            await self.event("response.output_audio.delta")
        self.say(recording)
        await self.event("input_audio_buffer.speech_started")
        played_ms = round((time.monotonic() - began_s) * 1000)
        audio = bytes(self.audio)
        received_ms = len(audio) // 2 * 1000 // OUT_HZ
        await self.connection.conversation.item.truncate(
            item_id=first.item_id, content_index=0, audio_end_ms=min(played_ms, received_ms)
        )
        cut = await self.event("conversation.item.truncated")
        kept = (await self.retrieve(first.item_id)).content[0].transcript
        said = "".join(
            event.delta
            for event in self.events
            if event.type == "response.output_audio_transcript.delta"
            and event.item_id == first.item_id
        )
        return Cut(
            item_id=first.item_id,
            said=said,
            audio=audio,
            audio_end_ms=cut.audio_end_ms,
            kept=kept,
        )

    def types(self) -> list[str]:
        """Return the types of all events, each run of equal ones once."""
        names = [event.type for event in self.events]
        return [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]


@asynccontextmanager
async def sdk_talk(base_url: str, **query: str) -> AsyncIterator[SdkTalk]:
    """Connect as the SDK's documentation says, with only the address changed."""
    async with (
        AsyncOpenAI(base_url=f"{base_url}/v1", api_key="anything") as client,
        client.realtime.connect(extra_query=query or {"model": "gpt-realtime"}) as connection,
    ):
        talk = SdkTalk(connection)
        await talk.event("session.created")
        yield talk


@asynccontextmanager
async def open_microphone(talk: SdkTalk) -> AsyncIterator[None]:
    """Keep the microphone open during the block."""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(talk.microphone())
        try:
            yield
        finally:
            running.cancel()


def recorded(name: str) -> bytes:
    """Return a recording at 24 kHz with half a second of silence behind it."""
    return Resampler(MIC_HZ, OUT_HZ).feed(speech(name) + silence(0.5), last=True)


def check(event: BaseModel) -> None:
    """Fail unless the event is exactly what the SDK declares, strictly typed, nothing added.

    The SDK itself builds events without validation, so that a wrong field would show only later.
    """
    text = event.model_dump_json(exclude_unset=True, warnings="error")
    strict = _server_event.validate_json(text, strict=True)
    assert type(strict) is type(event)
    assert set(extras(strict)) <= _UNDECLARED, text


def extras(value: object, path: str = "event") -> list[str]:
    """Return the paths of the fields that the SDK's models do not declare."""
    if isinstance(value, BaseModel):
        found = [f"{path}.{name}" for name in value.model_extra or {}]
        for name in type(value).model_fields:
            found += extras(getattr(value, name), f"{path}.{name}")
        return found
    if isinstance(value, list):
        return [entry for at, each in enumerate(value) for entry in extras(each, f"{path}[{at}]")]
    return []
