"""Several gateways behind one port: who comes back to another one has the session back."""

import asyncio
import contextlib
import shutil
import signal
from collections.abc import Iterator

import aiohttp
import pytest
from aiohttp import web
from resuming_client import Lost, ResumingClient, assert_is_speech_of, resuming_client
from system import DISPATCHER, System, system
from system_client import silence, speech
from talkative_system import REPLY, TALKATIVE

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(120)]

GATEWAYS = ("gateway-0", "gateway-1")
SHARED = {
    **TALKATIVE,
    "bus.dispatcher": "process",
    "gateway.processes": 2,
    "gateway.drain_s": 0.5,
}


@pytest.fixture
def server() -> Iterator[System]:
    with system(SHARED) as opened:
        opened.start(DISPATCHER, *GATEWAYS, "llm-0", "tts-0")
        opened.wait_for(lambda: all(speaks(opened, index) for index in range(2)), 60)
        yield opened
        opened.assert_no_traceback()


def speaks(server: System, gateway: int) -> bool:
    answer = server.get("/readyz", port=server.port + 1 + gateway)
    stages = answer.json()["stages"] if answer is not None else {}
    return bool(stages) and stages["llm"]["ready"] and stages["tts"]["ready"]


def url(server: System, gateway: int) -> str:
    return f"ws://127.0.0.1:{server.port + 1 + gateway}/v1/realtime"


def sessions_at(server: System, gateway: int) -> list[str]:
    answer = server.get("/v1/status", port=server.port + 1 + gateway)
    assert answer is not None
    return [session["id"] for session in answer.json()["sessions"]]


def clauses(client: ResumingClient) -> list[str]:
    return [event["delta"] for event in client.of_type("response.output_audio_transcript.delta")]


def assert_heard_whole(client: ResumingClient) -> None:
    assert "".join(clauses(client)) == REPLY
    assert_is_speech_of(client.spoken(1), client.session_id, clauses(client))
    assert len(client.of_type("response.done")) == 1


async def begin_to_hear(client: ResumingClient) -> None:
    await client.say_text("Say a lot.")
    for _ in range(4):
        await client.event("audio")


async def test_a_session_follows_its_client_to_another_gateway_in_mid_sentence(
    server: System,
) -> None:
    async with resuming_client(url(server, 0)) as client:
        await begin_to_hear(client)
        for gateway in (1, 0, 1):
            await client.break_off()
            client.url = url(server, gateway)
            assert (await client.resume())["type"] == "antiphon.resumed"
            assert sessions_at(server, gateway) == [client.session_id]
            assert sessions_at(server, 1 - gateway) == []
            await client.event("audio")
        await client.event("response.done")
        assert_heard_whole(client)


async def test_the_connection_at_the_gateway_before_is_told(server: System) -> None:
    async with resuming_client(url(server, 0)) as client:
        old = client.socket
        await begin_to_hear(client)
        client.url = url(server, 1)
        assert (await client.resume())["type"] == "antiphon.resumed"
        while (last := await old.receive()).type is not aiohttp.WSMsgType.CLOSE:
            assert not old.closed
        assert last.data == 4001
        await client.event("response.done")
        assert_heard_whole(client)


async def test_an_utterance_goes_on_at_another_gateway(server: System) -> None:
    pcm = silence(1.0) + speech("turn_on_lamp") + silence(2.5)
    async with resuming_client(url(server, 0)) as uncut:
        await uncut.append(pcm)
        expected = await uncut.event("input_audio_buffer.speech_stopped")
    async with resuming_client(url(server, 0)) as client:
        middle = (1_000 + expected["audio_end_ms"]) // 2 * 32
        await client.append(pcm[:middle])
        await client.event("input_audio_buffer.speech_started")
        await client.break_off()
        await client.append(pcm[middle:])
        client.url = url(server, 1)
        assert (await client.resume())["type"] == "antiphon.resumed"
        stopped = await client.event("input_audio_buffer.speech_stopped")
        assert abs(stopped["audio_end_ms"] - expected["audio_end_ms"]) <= 64


async def test_another_gateway_goes_on_with_the_sessions_of_one_that_was_killed(
    server: System,
) -> None:
    async with resuming_client(url(server, 0)) as client:
        await begin_to_hear(client)
        await asyncio.to_thread(server.kill, "gateway-0")
        with contextlib.suppress(Lost):
            while True:
                await client.receive()
        client.url = url(server, 1)
        assert (await client.resume())["type"] == "antiphon.resumed"
        await client.event("response.done")
        assert_heard_whole(client)


async def test_a_gateway_that_is_stopped_leaves_its_sessions_to_the_others(
    server: System,
) -> None:
    async with resuming_client(server.realtime_url) as client:
        await begin_to_hear(client)
        (held_by,) = [at for at in range(2) if client.session_id in sessions_at(server, at)]
        server.signal(GATEWAYS[held_by], signal.SIGTERM)
        await client.event("antiphon.reconnect")
        with pytest.raises(Lost) as end:
            # Reads past what was on its way; this comes on another connection only.
            await client.event("antiphon.resumed")
        assert end.value.code == 1012
        assert await asyncio.to_thread(server.wait_ended, GATEWAYS[held_by]) == 0
        assert (await client.resume())["type"] == "antiphon.resumed"
        await client.event("response.done")
        assert_heard_whole(client)


async def test_through_the_one_port_every_way_back_leads_to_the_session(server: System) -> None:
    async with resuming_client(server.realtime_url) as client:
        held_by = []
        await begin_to_hear(client)
        while len(set(held_by)) < 2:
            await client.break_off()
            assert (await client.resume())["type"] == "antiphon.resumed"
            held_by += [at for at in range(2) if client.session_id in sessions_at(server, at)]
            assert len(held_by) < 40
        if not client.of_type("response.done"):
            await client.event("response.done")
        assert_heard_whole(client)


async def test_a_gateway_that_is_stuck_leaves_the_session_waiting(server: System) -> None:
    async with resuming_client(url(server, 0)) as client:
        await begin_to_hear(client)
        server.signal("gateway-0", signal.SIGSTOP)
        try:
            await client.break_off()
            client.url = url(server, 1)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.resume()
            assert refused.value.status == 503
            assert refused.value.headers is not None
            assert refused.value.headers["Retry-After"] == "5"
        finally:
            server.signal("gateway-0", signal.SIGCONT)
        assert (await client.resume())["type"] == "antiphon.resumed"
        await client.event("response.done")
        assert_heard_whole(client)


async def test_a_wrong_token_does_not_move_a_session(server: System) -> None:
    async with resuming_client(url(server, 0)) as client, aiohttp.ClientSession() as http:
        offered = ("antiphon.v1", f"antiphon.resume.{client.session_id}.{'x' * 22}")
        async with http.ws_connect(url(server, 1), protocols=offered) as other:
            created = await other.receive_json()
            assert created["session"]["id"] != client.session_id
        await client.say_text("Are you there?")
        await client.event("response.done")
        assert sessions_at(server, 0) == [client.session_id]


async def test_a_session_that_ends_while_its_gateway_is_asked_for_it_is_unknown(
    server: System,
) -> None:
    run = server.directory / "run"
    kept = run / "sessions" / "gateway-9"

    async def let_it_end(_: web.Request) -> web.Response:
        shutil.rmtree(kept)
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/sessions/{session_id}/hand-over", let_it_end)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, run / "gateway-9.resume").start()
    async with resuming_client(url(server, 0)) as client:
        kept.mkdir()
        (run / "sessions" / "gateway-0" / client.session_id).rename(kept / client.session_id)
        await client.break_off()
        client.url = url(server, 1)
        session_id = client.session_id
        answer = await client.resume()
        assert answer["type"] == "session.created"
        assert answer["session"]["id"] != session_id
        while (event := await client.receive())["type"] != "error":
            pass
        assert event["error"]["code"] == "session_not_resumable"
    assert not kept.exists()
    await runner.cleanup()
