"""A session with a scripted server: events and audio both ways, and every way it can end."""

import base64
import time
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web

from antiphon import events
from antiphon.connection import Audio, Connection, Message, connect
from antiphon.server_address import ConnectionClosed, ConnectionFailed, realtime_url
from antiphon_proto.errors import ProtocolError
from antiphon_proto.frames import FrameKind

MS_40 = b"\x00\x10" * 640
IDS = {"response_id": "resp_1", "item_id": "reply_1"}


async def receive_all(talk: Connection) -> Sequence[Message]:
    """Return what arrives until the server closes the session."""
    arrived: list[Message] = []
    while True:
        try:
            arrived.append(await talk.receive())
        except ConnectionClosed:
            return arrived


async def test_microphone_frames_count_up_from_zero_and_carry_their_capture_time(serve: Any):
    peers = []

    async def script(peer):
        peers.append(peer)
        await peer.receive()
        await peer.receive()
        await peer.send("done")
        await peer.until_left()

    async with connect(await serve(script)) as talk:
        await talk.send_audio(b"\1\0" * 160, 8_000, captured_s=2.5)
        await talk.send_audio(b"\2\0" * 160, 8_000, captured_s=2.52)
        await talk.receive()
    first, second = peers[0].frames
    assert (first.kind, first.seq, first.timestamp) == (FrameKind.MICROPHONE, 0, 2_500_000)
    assert (second.seq, second.timestamp, second.sample_rate_hz) == (1, 2_520_000, 8_000)
    assert second.pcm == b"\2\0" * 160


async def test_playback_frames_arrive_with_the_item_that_their_stream_was_announced_for(serve: Any):
    async def script(peer):
        await peer.send("antiphon.audio.started", stream=7, sample_rate_hz=16_000, **IDS)
        await peer.play(MS_40, stream=7)

    async with connect(await serve(script)) as talk:
        started, audio = await receive_all(talk)
    assert isinstance(started, events.AudioStarted)
    assert isinstance(audio, Audio)
    assert audio[:4] == ("resp_1", "reply_1", 16_000, MS_40)
    assert 0 <= time.monotonic() - audio.received_s < 30


async def test_audio_of_a_stream_that_was_not_announced_is_an_error(serve: Any):
    async def script(peer):
        await peer.play(MS_40, stream=9)
        await peer.until_left()

    async with connect(await serve(script)) as talk:
        with pytest.raises(ProtocolError, match="unknown stream 9"):
            await talk.receive()


async def test_a_server_without_our_subprotocol_gets_and_sends_base64(serve: Any):
    peers = []

    async def script(peer):
        peers.append(peer)
        await peer.receive_event("input_audio_buffer.append")
        delta = base64.b64encode(MS_40).decode()
        await peer.send("response.output_audio.delta", delta=delta, **IDS)

    async with connect(await serve(script, protocols=("realtime",))) as talk:
        assert not talk.binary
        await talk.send_audio(b"\1\0" * 480, 24_000, captured_s=0.0)
        (audio,) = await receive_all(talk)
    assert isinstance(audio, Audio)
    assert (audio.item_id, audio.sample_rate_hz, audio.pcm) == ("reply_1", 24_000, MS_40)
    assert base64.b64decode(peers[0].events[0]["audio"]) == b"\1\0" * 480
    assert peers[0].frames == []


async def test_playout_is_reported_while_playing_and_once_at_the_end(serve: Any):
    peers = []

    async def script(peer):
        peers.append(peer)
        await peer.send("antiphon.audio.started", stream=1, sample_rate_hz=16_000, **IDS)
        await peer.play(MS_40 * 8)
        while (await peer.receive_event("antiphon.playout"))["buffered_ms"]:
            pass

    async with connect(await serve(script)) as talk:
        await receive_all(talk)
    reports = [event for event in peers[0].events if event["type"] == "antiphon.playout"]
    assert len(reports) >= 2
    assert {report["item_id"] for report in reports} == {"reply_1"}
    played = [report["played_ms"] for report in reports]
    assert played == sorted(played)
    assert reports[-1] == {**reports[-1], "played_ms": 320, "buffered_ms": 0}
    assert all(abs(r["played_ms"] + r["buffered_ms"] - 320) <= 1 for r in reports)


async def test_the_first_audio_of_an_item_is_told_once_on_the_clock_of_the_microphone(serve: Any):
    peers = []

    async def script(peer):
        peers.append(peer)
        await peer.send("antiphon.audio.started", stream=1, sample_rate_hz=16_000, **IDS)
        await peer.play(MS_40)
        await peer.play(MS_40)
        while (await peer.receive_event("antiphon.playout"))["buffered_ms"]:
            pass

    before_us = time.monotonic() * 1e6
    async with connect(await serve(script)) as talk:
        await receive_all(talk)
    (told,) = [event for event in peers[0].events if event["type"] == "antiphon.turn.played"]
    assert told["item_id"] == "reply_1"
    assert before_us < told["received_us"] <= told["started_us"] == told["heard_us"]
    assert told["heard_us"] < time.monotonic() * 1e6


async def test_playback_stops_and_is_truncated_when_the_user_speaks(serve: Any):
    peers = []

    async def script(peer):
        peers.append(peer)
        await peer.send("antiphon.audio.started", stream=1, sample_rate_hz=16_000, **IDS)
        for _ in range(25):
            await peer.play(MS_40 * 20)
        await peer.send("input_audio_buffer.speech_started", item_id="item_2")
        await peer.receive_event("conversation.item.truncate")
        await peer.send("error", error={"message": "too long", "event_id": "truncate"})

    async with connect(await serve(script)) as talk:
        arrived = await receive_all(talk)
        assert talk.playout.end_s <= time.monotonic()
    truncated = peers[0].events[-1]
    assert truncated["item_id"] == "reply_1"
    assert 0 <= truncated["audio_end_ms"] < 20_000
    assert not any(isinstance(message, events.ErrorEvent) for message in arrived)


async def test_events_of_unknown_types_arrive_with_their_body(serve: Any):
    async def script(peer):
        await peer.send("rate_limits.updated", rate_limits=[])

    async with connect(await serve(script)) as talk:
        (event,) = await receive_all(talk)
    assert isinstance(event, events.OtherEvent)
    assert event.body == {"type": "rate_limits.updated", "rate_limits": []}


@pytest.mark.parametrize("text", ["{", "[]", '{"type":"response.done"}', '{"no":"type"}'])
async def test_an_event_that_cannot_be_read_is_an_error(serve: Any, text: str):
    async def script(peer):
        await peer.socket.send_str(text)
        await peer.until_left()

    async with connect(await serve(script)) as talk:
        with pytest.raises(ProtocolError, match="cannot be read"):
            await talk.receive()


async def test_what_arrived_before_an_early_close_is_delivered_first(serve: Any):
    async def script(peer):
        await peer.send("one")
        await peer.send("two")
        await peer.socket.close(code=1013, message=b"too many sessions")

    async with connect(await serve(script)) as talk:
        assert [message.type for message in await receive_all(talk)] == ["one", "two"]
        with pytest.raises(ConnectionClosed, match=r"too many sessions \(code 1013\)") as caught:
            await talk.receive()
    assert caught.value.close_code == 1013


async def test_sending_into_a_closed_session_says_why_it_was_closed(serve: Any):
    async def script(peer):
        await peer.socket.close(code=1012, message=b"the server is restarting")

    async with connect(await serve(script)) as talk:
        await receive_all(talk)
        with pytest.raises(ConnectionClosed, match="restarting"):
            await talk.send({"type": "response.create"})
        with pytest.raises(ConnectionClosed, match="restarting"):
            await talk.send_audio(MS_40, 16_000, captured_s=0.0)


async def test_a_connection_that_breaks_is_reported_as_broken(serve: Any):
    async def script(peer):
        peer.abort()

    async with connect(await serve(script)) as talk:
        with pytest.raises(ConnectionClosed, match="broke") as caught:
            await talk.receive()
    assert caught.value.close_code == 1006


async def test_an_exception_of_the_caller_comes_out_as_it_is(serve: Any):
    async def script(peer):
        await peer.until_left()

    url = await serve(script)
    with pytest.raises(ZeroDivisionError):
        async with connect(url):
            raise ZeroDivisionError


async def test_leaving_closes_the_session_in_good_order(serve: Any):
    codes = []

    async def script(peer):
        await peer.until_left()
        codes.append(peer.socket.close_code)

    async with connect(await serve(script)):
        pass
    assert codes == [1000]


async def test_no_server_on_this_machine_tells_how_to_start_it(unused_tcp_port: int):
    with pytest.raises(ConnectionFailed, match=r"no server at .*; start it with: make run"):
        async with connect(f"ws://127.0.0.1:{unused_tcp_port}"):
            pass


@pytest.mark.parametrize(
    ("status", "headers", "text"),
    [
        (401, {}, "--api-key"),
        (403, {}, "does not accept connections from here"),
        (404, {}, "no Realtime server"),
        (503, {"Retry-After": "7"}, "try again in 7 s"),
        (503, {}, "try again later"),
        (500, {}, "HTTP status 500"),
        (200, {}, "HTTP status 200"),
    ],
)
async def test_a_refusal_says_what_to_do(serve: Any, status: int, headers: Any, text: str):
    async def refuse(request):
        return web.Response(status=status, headers=headers)

    url = await serve.app(refuse)
    with pytest.raises(ConnectionFailed, match=text):
        async with connect(url):
            pass


async def test_the_key_is_sent_as_a_bearer_token(serve: Any):
    keys = []

    async def refuse(request):
        keys.append(request.headers["Authorization"])
        return web.Response(status=401)

    url = await serve.app(refuse)
    with pytest.raises(ConnectionFailed):
        async with connect(url, api_key="secret"):
            pass
    assert keys == ["Bearer secret"]


async def test_a_session_that_is_refused_at_once_says_why(serve: Any):
    async def error(peer):
        await peer.send("error", error={"message": "the model is not loaded"})

    async def close(peer):
        await peer.socket.close(code=1013, message=b"full")

    async def other(peer):
        await peer.send("hello")

    with pytest.raises(ConnectionFailed, match="the model is not loaded"):
        async with connect(await serve(error, greet=False)):
            pass
    with pytest.raises(ConnectionClosed, match="full"):
        async with connect(await serve(close, greet=False)):
            pass
    with pytest.raises(ConnectionFailed, match=r"did not begin with session\.created"):
        async with connect(await serve(other, greet=False)):
            pass


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost:8080", "ws://localhost:8080/v1/realtime"),
        ("http://host:1/", "ws://host:1/v1/realtime"),
        ("https://voice.example", "wss://voice.example/v1/realtime"),
        ("ws://[::1]:8080", "ws://[::1]:8080/v1/realtime"),
        ("wss://host/v1/realtime?model=m", "wss://host/v1/realtime?model=m"),
    ],
)
def test_short_addresses_are_completed(text: str, url: str):
    assert str(realtime_url(text)) == url


@pytest.mark.parametrize("text", ["", "ftp://host", "ws://", "ws://host:99999", "ws://host:x"])
def test_what_is_no_address_is_refused(text: str):
    with pytest.raises(ConnectionFailed, match="is not an address"):
        realtime_url(text)
