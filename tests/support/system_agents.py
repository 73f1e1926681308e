"""Conversations through the stock `openai-agents` SDK, with only the address changed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession
from system import System
from system_client import MIC_HZ, OUT_HZ, silence, speech

from antiphon_proto.audio import Resampler

CHUNK_BYTES = OUT_HZ // 10 * 2


class Talk:
    """One session of the SDK, and what it has told so far."""

    def __init__(self, session: RealtimeSession) -> None:
        self.session = session
        self.events: list[Any] = []
        self.history: list[Any] = []
        self.raw: list[dict[str, Any]] = []
        """What the server sent, as it was."""

    async def until(self, type_: str) -> Any:
        """Return the next event of a type; an error ends the test."""
        async with asyncio.timeout(45):
            async for event in self.session:
                self.events.append(event)
                assert event.type != "error", event.error
                if event.type == "history_updated":
                    self.history = event.history
                elif event.type == "history_added":
                    self.history = [*self.history, event.item]
                elif event.type == "raw_model_event" and event.data.type == "raw_server_event":
                    self.raw.append(event.data.data)
                if event.type == type_:
                    return event
        raise AssertionError("the session has ended")

    async def until_raw(
        self, type_: str, fits: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> dict[str, Any]:
        """Return the next event of the server of a type."""
        while True:
            seen = len(self.raw)
            await self.until("raw_model_event")
            if len(self.raw) > seen and self.raw[-1]["type"] == type_ and fits(self.raw[-1]):
                return self.raw[-1]

    def of(self, kind: str, item_id: str = "") -> list[dict[str, Any]]:
        """Return the server's events of a kind, of one item if that is named."""
        events = [event for event in self.raw if event["type"].endswith(kind)]
        return [event for event in events if item_id in ("", event.get("item_id"))]

    def said(self, role: str) -> list[str]:
        """Return what one side said, by the SDK's history."""
        return [text for said_by, text in self.texts().values() if said_by == role]

    def texts(self) -> dict[str, tuple[str, str]]:
        """Return who said what of each spoken item, by the SDK's history."""
        return {
            item.item_id: (item.role, part.transcript or "")
            for item in self.history
            if item.type == "message"
            for part in item.content
            if part.type in ("audio", "input_audio")
        }

    async def say(self, recording: str) -> None:
        """Say a recording in real time, and be silent."""
        pcm = Resampler(MIC_HZ, OUT_HZ).feed(speech(recording) + silence(2.5), last=True)
        for start in range(0, len(pcm), CHUNK_BYTES):
            await self.session.send_audio(pcm[start : start + CHUNK_BYTES])
            await asyncio.sleep(0.1)


@asynccontextmanager
async def agent_talk(
    system: System, *, model_settings: dict[str, Any] | None = None, **agent: Any
) -> AsyncIterator[Talk]:
    """Connect as the SDK's documentation says, with only the address changed."""
    runner = RealtimeRunner(RealtimeAgent(name="Assistant", instructions="Be brief.", **agent))
    model_config: Any = {
        "api_key": "anything",
        "url": f"{system.realtime_url}?model=gpt-realtime",
        "initial_model_settings": model_settings or {},
    }
    async with await runner.run(model_config=model_config) as session:
        yield Talk(session)
