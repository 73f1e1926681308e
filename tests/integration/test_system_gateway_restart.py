"""A gateway that is killed or stopped, and started again: its sessions go on."""

import asyncio
import contextlib
import stat
from collections.abc import Iterator

import aiohttp
import pytest
from resuming_client import Lost, ResumingClient, assert_is_speech_of, resuming_client
from system import GATEWAY, System
from system_client import silence, speech
from talkative_system import REPLY, ready_to_speak, talkative

pytestmark = [pytest.mark.integration, pytest.mark.models]

SESSIONS = 5


@pytest.fixture
def server() -> Iterator[System]:
    with talkative({"gateway.drain_s": 0.5}) as system:
        yield system


async def restarted(server: System) -> None:
    """Start the gateway again and wait until it can speak."""
    await asyncio.to_thread(server.start, GATEWAY)
    await asyncio.to_thread(server.wait_for, lambda: ready_to_speak(server), 30.0)


async def hear_until_lost(client: ResumingClient) -> None:
    with contextlib.suppress(Lost):
        while True:
            await client.receive()


def clauses(client: ResumingClient) -> list[str]:
    return [event["delta"] for event in client.of_type("response.output_audio_transcript.delta")]


def assert_heard_whole(client: ResumingClient) -> None:
    """Every sample of the reply came once, whoever sent it."""
    assert "".join(clauses(client)) == REPLY
    assert_is_speech_of(client.spoken(1), client.session_id, clauses(client))
    assert len(client.of_type("response.done")) == 1


async def converse(server: System, killed: asyncio.Event, back: asyncio.Event, frames: int) -> None:
    """Have a reply cut after so many frames by the end of the gateway, and hear the rest."""
    async with resuming_client(server.realtime_url) as client:
        await client.say_text("Say a lot.")
        for _ in range(frames):
            await client.event("audio")
        killed.set()
        await hear_until_lost(client)
        await back.wait()
        assert (await client.resume())["type"] == "antiphon.resumed"
        await client.event("response.done")
        assert_heard_whole(client)
        await client.send("conversation.item.retrieve", item_id=first_item(client))
        item = (await client.event("conversation.item.retrieved"))["item"]
        assert item["content"][0]["text"] == "Say a lot."


def first_item(client: ResumingClient) -> str:
    item_id: str = client.of_type("conversation.item.added")[0]["item"]["id"]
    return item_id


async def test_replies_go_on_sample_by_sample_after_the_gateway_was_killed(server: System) -> None:
    speaking = [asyncio.Event() for _ in range(SESSIONS)]
    back = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number, event in enumerate(speaking):
            group.create_task(converse(server, event, back, frames=4 * number))
        for event in speaking:
            await event.wait()
        await asyncio.to_thread(server.kill, GATEWAY)
        await restarted(server)
        back.set()
    server.assert_no_traceback()


async def test_an_utterance_goes_on_after_the_gateway_was_killed(server: System) -> None:
    pcm = silence(1.0) + speech("turn_on_lamp") + silence(2.5)
    async with resuming_client(server.realtime_url) as uncut:
        await uncut.end_turns_after(500)
        await uncut.append(pcm)
        expected = await uncut.event("input_audio_buffer.speech_stopped")
    async with resuming_client(server.realtime_url) as client:
        middle = (500 + expected["audio_end_ms"]) // 2 * 32
        await client.end_turns_after(500)
        await client.append(pcm[:middle])
        await client.event("input_audio_buffer.speech_started")
        await asyncio.to_thread(server.kill, GATEWAY)
        await hear_until_lost(client)
        await client.append(pcm[middle:])
        await restarted(server)
        assert (await client.resume())["type"] == "antiphon.resumed"
        stopped = await client.event("input_audio_buffer.speech_stopped")
        assert abs(stopped["audio_end_ms"] - expected["audio_end_ms"]) <= 64
        first, again = client.of_type("input_audio_buffer.speech_started")
        assert abs(first["audio_start_ms"] - again["audio_start_ms"]) <= 96


async def test_a_gateway_that_is_stopped_hands_its_sessions_over(server: System) -> None:
    async with resuming_client(server.realtime_url) as client:
        await client.say_text("Say a lot.")
        for _ in range(4):
            await client.event("audio")
        server.signal(GATEWAY, 15)
        reconnect = await client.event("antiphon.reconnect")
        assert 0 <= reconnect["after_ms"] < 1_000
        with pytest.raises(Lost) as end:
            await client.receive()
        assert end.value.code == 1012
        assert await asyncio.to_thread(server.wait_ended, GATEWAY) == 0
        await restarted(server)
        assert (await client.resume())["type"] == "antiphon.resumed"
        await client.event("response.done")
        assert_heard_whole(client)
    server.assert_no_traceback()


async def test_who_asks_again_at_once_hears_a_reply_out_and_has_the_next_elsewhere() -> None:
    with talkative({"gateway.drain_s": 60}) as server:
        async with resuming_client(server.realtime_url) as client:
            await client.say_text("Say a lot.")
            await client.event("audio")
            server.signal(GATEWAY, 15)
            await client.event("response.done")
            assert_heard_whole(client)
            await client.say_text("And again.")
            with pytest.raises(Lost) as end:
                await client.event("response.created", within_s=5)
            assert end.value.code == 1012
            assert await asyncio.to_thread(server.wait_ended, GATEWAY) == 0
            await restarted(server)
            assert (await client.resume())["type"] == "antiphon.resumed"
            await client.event("response.done")
            assert len(client.of_type("response.done")) == 2
        server.assert_no_traceback()


async def test_what_is_kept_is_private_and_deleted_with_its_session(server: System) -> None:
    sessions = server.directory / "run" / "sessions"
    async with resuming_client(server.realtime_url) as client:
        await client.say_text("A secret.")
        await client.event("response.done")
        (kept,) = sessions.rglob("sess_*")
        assert stat.S_IMODE(kept.stat().st_mode) == 0o700
        for file in kept.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert client.token.encode() not in file.read_bytes()
    await asyncio.to_thread(server.wait_for, lambda: not kept.exists(), 10.0)
    async with aiohttp.ClientSession() as http:
        plain = await http.ws_connect(server.realtime_url)
        await plain.receive()
        assert not list(sessions.rglob("sess_*"))
        await plain.close()


async def test_a_wrong_token_does_not_open_what_is_kept(server: System) -> None:
    async with resuming_client(server.realtime_url) as client:
        await asyncio.to_thread(server.kill, GATEWAY)
        await hear_until_lost(client)
        await restarted(server)
        right, client.token = client.token, "x" * 22
        assert (await client.resume())["type"] == "session.created"
        await client.socket.close()
        client.token = right
        assert (await client.resume())["type"] == "antiphon.resumed"
