"""The gateway is killed at any moment of a spoken turn: its words and its answer come once."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from resuming_client import Lost, ResumingClient, assert_is_speech_of, resuming_client
from system import GATEWAY, SIMULATED, System, system
from system_client import MIC_HZ, silence, speech

pytestmark = [
    pytest.mark.integration,
    pytest.mark.thorough,
    pytest.mark.models,
    pytest.mark.timeout(240),
]

REPLY = "This reply is long enough to be cut. It has a second sentence of some length."
SETTINGS = {**SIMULATED, "simulated.reply": REPLY, "simulated.stt_ms": 300}
MOMENTS_S = (0.6, 1.4, 2.2, 2.9, 3.4, 4.0, 4.8)
CHUNK_BYTES = 2 * MIC_HZ // 5


@pytest.fixture
def server() -> Iterator[System]:
    with system(SETTINGS) as opened:
        opened.start(GATEWAY, "stt-0", "llm-0", "tts-0")
        opened.wait_ready()
        yield opened
        opened.assert_no_traceback()


class Talk:
    """One spoken turn, in real time, over whatever connections there are."""

    def __init__(self, server: System, client: ResumingClient) -> None:
        self._server = server
        self._client = client
        self._connected = asyncio.Event()
        self._connected.set()

    async def hold(self, killed_after_s: float) -> None:
        """Say something, be answered, and have the gateway killed on the way."""
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(self._speak())
            killing = group.create_task(self._kill(killed_after_s))
            while not self._client.of_type("response.done") or not killing.done():
                try:
                    await self._client.receive()
                except Lost:
                    await self._come_back(killing)
            speaking.cancel()

    async def _speak(self) -> None:
        pcm = speech("turn_on_lamp") + silence(20.0)
        for at in range(0, len(pcm), CHUNK_BYTES):
            await self._connected.wait()
            await self._client.append(pcm[at : at + CHUNK_BYTES])
            await asyncio.sleep(0.2)

    async def _kill(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self._connected.clear()
        await asyncio.to_thread(self._server.kill, GATEWAY)

    async def _come_back(self, killing: "asyncio.Task[None]") -> None:
        await killing
        await asyncio.to_thread(self._server.start, GATEWAY)
        await asyncio.to_thread(self._server.wait_ready, 30.0)
        assert (await self._client.resume())["type"] == "antiphon.resumed"
        self._connected.set()


def items_of(client: ResumingClient) -> list[dict[str, Any]]:
    return [event["item"] for event in client.of_type("conversation.item.added")]


def assert_said_and_answered_once(client: ResumingClient) -> None:
    assert not client.of_type("conversation.item.deleted", "error")
    assert [item["role"] for item in items_of(client)] == ["user", "assistant"]
    (words,) = client.of_type("conversation.item.input_audio_transcription.completed")
    assert words["transcript"] == "this is a simulated transcript"
    assert words["item_id"] == items_of(client)[0]["id"]
    assert len(client.of_type("input_audio_buffer.committed")) == 1
    starts = [one["audio_start_ms"] for one in client.of_type("input_audio_buffer.speech_started")]
    assert all(abs(after - before) <= 96 for before, after in pairwise(starts))
    (done,) = client.of_type("response.done")
    assert done["response"]["status"] == "completed"
    clauses = [one["delta"] for one in client.of_type("response.output_audio_transcript.delta")]
    assert "".join(clauses) == REPLY
    (started,) = client.of_type("antiphon.audio.started")
    assert_is_speech_of(client.spoken(started["stream"]), client.session_id, clauses)


async def test_a_spoken_turn_survives_a_kill_at_any_moment(server: System) -> None:
    for moment_s in MOMENTS_S:
        async with resuming_client(server.realtime_url) as client:
            await Talk(server, client).hold(moment_s)
            assert_said_and_answered_once(client)
