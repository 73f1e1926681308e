"""Clients whose every event, either way, is kept in order as evidence."""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, NamedTuple, TypeVar

import aiohttp
from conformance import Frame
from session_rig import Rig
from system_client import Client, Event, silence, speech

SPOKEN = "dog_or_cat"
PartnerT = TypeVar("PartnerT")


class Scenario(NamedTuple, Generic[PartnerT]):
    """One talk, and what it asserts."""

    name: str
    run: Callable[[PartnerT], Any]
    effects: tuple[str, ...]
    """The settings whose effect it asserts."""
    opened: dict[str, Any]
    """How its session is opened."""

    def __str__(self) -> str:
        return self.name


class RecordedClient(Client):
    """A session over a real socket; each event sent has an id, so that a refusal is known."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        super().__init__(socket)
        self.frames: list[Frame] = []
        self.awaited: set[str] = set()
        self._ids = itertools.count(1)

    async def event(
        self, type_: str, matches: Callable[[Event], bool] = lambda _: True, within_s: float = 30.0
    ) -> Event:
        """Return the next event of a type."""
        self.awaited.add(type_)
        return await super().event(type_, matches, within_s)

    async def send(self, type_: str, **fields: Any) -> None:
        """Send an event."""
        event = {"event_id": f"mine_{next(self._ids)}", **fields}
        self.frames.append(("client", {"type": type_, **event}))
        await super().send(type_, **event)

    async def receive(self) -> Event:
        """Return the next event."""
        event = await super().receive()
        if event["type"] != "audio":
            self.frames.append(("server", event))
        return event

    async def set_turns(self, **detection: Any) -> None:
        """End turns after a silence, as `detection` says more of it."""
        turns = {"type": "server_vad", "silence_duration_ms": 300, **detection}
        await self.update(audio={"input": {"turn_detection": turns}})

    async def add(self, item: dict[str, Any], **fields: Any) -> Event:
        """Add an item; return it as the server keeps it."""
        await self.send("conversation.item.create", item=item, **fields)
        kept: Event = (await self.event("conversation.item.done"))["item"]
        return kept

    async def say(self) -> Event:
        """Say something; return the event of the end of the turn."""
        await self.append(speech(SPOKEN) + silence(1.5))
        return await self.event("input_audio_buffer.speech_stopped")


@asynccontextmanager
async def recorded(
    url: str, *, extended: bool = False, headers: dict[str, str] | None = None
) -> AsyncIterator[RecordedClient]:
    """Open a session and close it after the block."""
    protocols = ("antiphon.v1", "realtime") if extended else ("realtime",)
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(url, protocols=protocols, headers=headers, max_msg_size=0) as socket,
    ):
        client = RecordedClient(socket)
        await client.event("session.created")
        yield client


class RecordedRig(Rig):
    """A session's core alone, where a worker must fail, time must pass or a job be looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[int, dict[str, Any]]] = []

    def send(self, **event: Any) -> None:
        """Send a client event."""
        event = {"event_id": f"mine_{len(self.sent)}", **event}
        self.sent.append((len(self.events), event))
        super().send(**event)

    @property
    def frames(self) -> list[Frame]:
        """Everything so far, in order."""
        frames: list[Frame] = [("server", event) for event in self.events]
        for place, event in reversed(self.sent):
            frames.insert(place, ("client", event))
        return frames


def user_text(text: str, **fields: Any) -> dict[str, Any]:
    """Return a typed message of the user."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content, **fields}
