"""A session whose connection drops goes on in another one: nothing is repeated, nothing skipped."""

import asyncio
from collections.abc import Iterator

import aiohttp
import pytest
from chaos_proxy import ChaosProxy, chaos_proxy
from resuming_client import Lost, ResumingClient, assert_is_speech_of, resuming_client
from system import System
from system_client import silence, speech
from talkative_system import REPLY, talkative

pytestmark = [pytest.mark.integration, pytest.mark.models]


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    with talkative({}) as system:
        yield system


def url_of(proxy: ChaosProxy) -> str:
    return f"ws://127.0.0.1:{proxy.port}/v1/realtime"


def sessions_of(server: System) -> list[dict[str, object]]:
    answer = server.get("/v1/status")
    assert answer is not None
    sessions: list[dict[str, object]] = answer.json()["sessions"]
    return sessions


def clauses(client: ResumingClient) -> list[str]:
    return [event["delta"] for event in client.of_type("response.output_audio_transcript.delta")]


async def hear(client: ResumingClient, frames: int) -> None:
    """Receive so many frames of audio."""
    for _ in range(frames):
        await client.event("audio")


async def lost(client: ResumingClient) -> int | None:
    """Receive until the connection ends; return the close code."""
    try:
        while True:
            await client.receive()
    except Lost as end:
        return end.code


def assert_heard_whole(client: ResumingClient) -> None:
    assert "".join(clauses(client)) == REPLY
    assert_is_speech_of(client.spoken(1), client.session_id, clauses(client))
    (done,) = client.of_type("response.done")
    assert done["response"]["status"] == "completed"
    assert len(client.of_type("response.created")) == 1


async def test_a_reply_goes_on_after_the_sample_received_last(server: System) -> None:
    async with chaos_proxy(server.port) as proxy, resuming_client(url_of(proxy)) as client:
        await client.say_text("Say a lot.")
        for _ in range(3):
            await hear(client, 3)
            proxy.reset()
            await lost(client)
            answer = await client.resume()
            assert answer["type"] == "antiphon.resumed"
            assert answer["events_received"] == 2
        await client.event("response.done")
        assert_heard_whole(client)


async def test_a_half_open_connection_is_taken_over_and_closed(server: System) -> None:
    async with chaos_proxy(server.port) as proxy, resuming_client(url_of(proxy)) as client:
        old = client.socket
        await client.say_text("Say a lot.")
        await hear(client, 2)
        assert (await client.resume())["type"] == "antiphon.resumed"
        while not old.closed:
            await old.receive()
        assert old.close_code == 4001
        await client.event("response.done")
        assert_heard_whole(client)


async def test_nothing_is_said_to_who_is_not_there(server: System) -> None:
    async with resuming_client(server.realtime_url) as client:
        await client.say_text("Say a lot.")
        await hear(client, 2)
        item_id = client.of_type("antiphon.audio.started")[0]["item_id"]
        await client.break_off()
        heard_samples = len(client.spoken(1)) // 2
        await asyncio.sleep(1.0)
        answer = await client.resume((item_id, 40))
        assert answer["type"] == "antiphon.resumed"
        await client.send("response.cancel")
        done = await client.event("response.done")
        told = done["response"]["output"][0]["content"][0]["transcript"]
        assert len(told) <= 2, "a word was taken for heard in the silence"
        assert len(client.spoken(1)) // 2 < heard_samples + 24_000


async def test_an_utterance_goes_on_with_the_audio_kept_by_the_client(server: System) -> None:
    pcm = speech("turn_on_lamp") + silence(2.5)
    async with resuming_client(server.realtime_url) as uncut:
        await uncut.end_turns_after(500)
        await uncut.append(pcm)
        expected = await uncut.event("input_audio_buffer.speech_stopped")
    async with chaos_proxy(server.port) as proxy, resuming_client(url_of(proxy)) as client:
        half = len(pcm) // 4 & ~1
        await client.end_turns_after(500)
        await client.append(pcm[:half])
        started = await client.event("input_audio_buffer.speech_started")
        proxy.reset()
        await client.append(pcm[half:])
        await lost(client)
        assert (await client.resume())["last_frame"] is not None
        stopped = await client.event("input_audio_buffer.speech_stopped")
        assert stopped["item_id"] == started["item_id"]
        assert stopped["audio_end_ms"] == expected["audio_end_ms"]


async def test_a_wrong_token_opens_another_session_and_says_so(server: System) -> None:
    async with resuming_client(server.realtime_url) as client:
        session_id, client.token = client.session_id, client.token[:-1] + "!"
        await client.break_off()
        answer = await client.resume()
        assert answer["type"] == "session.created"
        assert answer["session"]["id"] != session_id
        while (event := await client.receive())["type"] != "error":
            pass
        assert event["error"]["code"] == "session_not_resumable"
        await client.say_text("Hello?")
        await client.event("response.done")


async def test_a_client_that_says_goodbye_is_not_waited_for(server: System) -> None:
    async with resuming_client(server.realtime_url) as client:
        await client.socket.close()
        assert (await client.resume())["type"] == "session.created"


async def test_a_session_waits_no_longer_than_it_says() -> None:
    with talkative({"gateway.resume_s": 0.5, "gateway.max_sessions": 1}) as server:
        async with resuming_client(server.realtime_url) as client:
            await client.break_off()
            async with aiohttp.ClientSession() as http:
                with pytest.raises(aiohttp.WSServerHandshakeError) as full:
                    await http.ws_connect(server.realtime_url)
            assert full.value.status == 503
            assert (await client.resume())["type"] == "antiphon.resumed"
            await client.break_off()
            await asyncio.to_thread(server.wait_for, lambda: not sessions_of(server), 10.0)
            answer = await client.resume()
            assert answer["type"] == "session.created"
