"""What the client does about its connection: pauses, restarts of the server, a full server."""

import asyncio
import contextlib
import json
import time
from typing import Any

import pytest
from aiohttp import web
from scripted_peer import SESSION, Peer

from antiphon import events
from antiphon.connection import Connection, connect
from antiphon.server_address import ConnectionClosed
from antiphon_proto.frames import AudioFrame

RATE_HZ = 16_000
MS_100 = RATE_HZ // 10
TICKET = {"session_id": "sess_1", "resume_token": "t0ken", "resume_within_s": 30.0}


def tenth(number: int, *, loud: bool = True) -> bytes:
    """A tenth of a second that can be told from all others."""
    return int(8_000 * loud + number).to_bytes(2, "little") * MS_100


async def send_tenths(talk: Connection, first: int, count: int, *, loud: bool = True) -> None:
    for number in range(first, first + count):
        await talk.send_audio(tenth(number, loud=loud), RATE_HZ, captured_s=number / 10)


async def flow(peer: Peer, microphone: str) -> None:
    """Tell the client to pause or resume; the event after it is one that the test receives."""
    await peer.send("antiphon.flow", microphone=microphone)
    await peer.send("told")


def numbers(peer: Peer) -> list[int]:
    """Which tenths of a second have arrived."""
    return [frame.seq for frame in peer.frames]


async def test_what_is_said_in_a_pause_is_sent_after_it_in_order(serve: Any) -> None:
    peers: list[Peer] = []
    said, resumed = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await flow(peer, "pause")
        await peer.receive_event("nothing-before-this")
        assert peer.frames == []
        said.set()
        await flow(peer, "resume")
        while len(peer.frames) < 40:
            await peer.receive()
        resumed.set()
        await peer.until_left()

    async with connect(await serve(script)) as talk:
        await talk.receive()
        assert talk.paused
        await send_tenths(talk, 0, 30)
        await talk.send({"type": "nothing-before-this"})
        await said.wait()
        await send_tenths(talk, 30, 10)
        await asyncio.wait_for(resumed.wait(), 10)
        assert not talk.paused
    (peer,) = peers
    assert numbers(peer) == list(range(40))
    assert [frame.pcm for frame in peer.frames] == [tenth(number) for number in range(40)]


async def test_five_seconds_are_kept_in_a_pause_and_silence_goes_first(serve: Any) -> None:
    peers: list[Peer] = []
    resume = asyncio.Event()

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await flow(peer, "pause")
        await resume.wait()
        await flow(peer, "resume")
        await peer.receive_event("end")
        await peer.send("ended")
        await peer.until_left()

    async with connect(await serve(script)) as talk:
        await talk.receive()
        assert talk.paused
        await send_tenths(talk, 0, 40)
        await send_tenths(talk, 40, 15, loud=False)
        await send_tenths(talk, 55, 5)
        resume.set()
        await talk.receive()
        assert not talk.paused
        await talk.send({"type": "input_audio_buffer.commit"})
        await talk.send({"type": "end"})
        await talk.receive()
    assert numbers(peers[0]) == [*range(40), *range(50, 60)]


async def test_a_commit_follows_its_audio_even_in_a_pause(serve: Any) -> None:
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await flow(peer, "pause")
        await peer.receive_event("input_audio_buffer.commit")
        peer.events.append({"type": "frames-before", "count": len(peer.frames)})
        await peer.receive_event("end")
        await peer.send("ended")
        await peer.until_left()

    async with connect(await serve(script)) as talk:
        await talk.receive()
        assert talk.paused
        await send_tenths(talk, 0, 5)
        await talk.send({"type": "input_audio_buffer.commit"})
        await send_tenths(talk, 5, 5)
        await talk.send({"type": "end"})
        await talk.receive()
    before = next(event for event in peers[0].events if event["type"] == "frames-before")
    assert before["count"] == 5
    assert numbers(peers[0]) == list(range(5)), "the pause ended with the commit"


class ResumableServer:
    """Gives a ticket to the first client; the test says what becomes of those that come again."""

    def __init__(self) -> None:
        self.attempts_s: list[float] = []
        """When clients came, by the monotonic clock."""
        self.lost_s = 0.0
        self.refusals: list[web.Response] = []
        self.first: Peer
        self.again: Peer
        self.claim: dict[str, Any] = {}
        self.events_received = 0
        self.end = asyncio.Event()

    async def first_connection(self, peer: Peer) -> None:
        """Lose it."""
        raise NotImplementedError

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.attempts_s.append(time.monotonic())
        first = len(self.attempts_s) == 1
        if not first and self.refusals:
            return self.refusals.pop(0)
        socket = web.WebSocketResponse(protocols=("antiphon.v1",))
        await socket.prepare(request)
        peer = Peer(socket, request)
        if first:
            self.first = peer
            await socket.send_str(json.dumps(SESSION))
            await self.first_connection(peer)
            self.lost_s = time.monotonic()
            return socket
        self.again = peer
        claim = await peer.receive()
        assert isinstance(claim, dict)
        self.claim = claim
        last_frame = self.first.frames[-1].seq if self.first.frames else None
        await peer.send(
            "antiphon.resumed",
            session_id="sess_1",
            events_received=self.events_received,
            last_frame=last_frame,
        )
        await peer.send("resumed-here")
        with contextlib.suppress(EOFError):
            await peer.receive_event("bye")
            await peer.send("bye")
        await peer.until_left()
        return socket


async def test_a_server_that_restarts_is_asked_again_when_it_said(serve: Any) -> None:
    class Restarting(ResumableServer):
        async def first_connection(self, peer: Peer) -> None:
            await peer.send("antiphon.session", **TICKET)
            await peer.receive_event("hello")
            self.events_received = 1
            await peer.send("antiphon.reconnect", after_ms=700)
            await peer.socket.close(code=1012, message=b"the server is restarting")

    server = Restarting()
    async with connect(await serve.app(server.handle)) as talk:
        await talk.send({"type": "hello"})
        await talk.receive()
        assert talk.resumptions == 1
    assert len(server.attempts_s) == 2
    assert server.attempts_s[1] - server.lost_s >= 0.65
    assert server.claim["last_seq"] == 3
    offered = server.again._request.headers["Sec-WebSocket-Protocol"]
    assert "antiphon.resume.sess_1.t0ken" in offered


async def test_a_pause_ends_with_the_connection_that_it_was_told_on(serve: Any) -> None:
    class Pausing(ResumableServer):
        async def first_connection(self, peer: Peer) -> None:
            await peer.send("antiphon.session", **TICKET)
            await peer.send("antiphon.duck", item_id="item_a", ducked=True, paused=True)
            await peer.receive_event("hello")
            peer.abort()

    server = Pausing()
    async with connect(await serve.app(server.handle)) as talk:
        talk.playout.received("item_a", 60.0, time.monotonic())
        assert (await talk.receive()).paused  # type: ignore[union-attr]
        await asyncio.sleep(0.05)
        stood = talk.playout.position(time.monotonic())
        assert stood == talk.playout.position(time.monotonic() + 1)
        await talk.send({"type": "hello"})
        loud = await talk.receive()
        assert loud == events.Duck(type="antiphon.duck", item_id="item_a", ducked=False)
        assert (await talk.receive()).type == "resumed-here"  # type: ignore[union-attr]
        assert talk.playout.position(time.monotonic() + 1) != stood


async def test_1012_without_a_ticket_ends_the_session(serve: Any) -> None:
    async def script(peer: Peer) -> None:
        await peer.send("antiphon.reconnect", after_ms=0)
        await peer.socket.close(code=1012, message=b"the server is restarting")

    async with connect(await serve(script)) as talk:
        with pytest.raises(ConnectionClosed) as closed:
            await talk.receive()
    assert closed.value.close_code == 1012


async def test_a_server_that_is_full_is_asked_again_after_the_time_it_names(serve: Any) -> None:
    class Full(ResumableServer):
        async def first_connection(self, peer: Peer) -> None:
            await peer.send("antiphon.session", **TICKET)
            await peer.receive_event("hello")
            peer.abort()

    server = Full()
    server.refusals = [web.Response(status=503, headers={"Retry-After": "1"})]
    async with connect(await serve.app(server.handle)) as talk:
        await talk.send({"type": "hello"})
        await talk.receive()
        assert talk.resumptions == 1
    lost, refused, accepted = server.attempts_s
    assert lost <= refused
    assert accepted - refused >= 0.95


async def test_a_server_that_stays_full_is_given_up_when_the_session_is_over(serve: Any) -> None:
    class Gone(ResumableServer):
        async def first_connection(self, peer: Peer) -> None:
            await peer.send("antiphon.session", **{**TICKET, "resume_within_s": 1.5})
            await peer.receive_event("hello")
            peer.abort()

    server = Gone()
    server.refusals = [web.Response(status=503, headers={"Retry-After": "1"}) for _ in range(9)]
    async with connect(await serve.app(server.handle)) as talk:
        await talk.send({"type": "hello"})
        with pytest.raises(ConnectionClosed) as closed:
            await talk.receive()
    assert closed.value.close_code == 1006
    assert len(server.attempts_s) == 3


async def test_a_refusal_that_is_final_is_not_asked_again(serve: Any) -> None:
    class Closed(ResumableServer):
        async def first_connection(self, peer: Peer) -> None:
            await peer.send("antiphon.session", **TICKET)
            await peer.receive_event("hello")
            peer.abort()

    server = Closed()
    server.refusals = [web.Response(status=401)]
    async with connect(await serve.app(server.handle)) as talk:
        await talk.send({"type": "hello"})
        with pytest.raises(ConnectionClosed):
            await talk.receive()
    assert len(server.attempts_s) == 2


async def test_events_sent_before_the_ticket_count_and_are_sent_again(serve: Any) -> None:
    class Early(ResumableServer):
        async def first_connection(self, peer: Peer) -> None:
            await peer.receive_event("early")
            await peer.send("antiphon.session", **TICKET)
            await peer.receive_event("later")
            self.events_received = 1
            peer.abort()

    server = Early()
    async with connect(await serve.app(server.handle)) as talk:
        await talk.send({"type": "early"})
        await talk.send_audio(tenth(0), RATE_HZ, captured_s=0.0)
        await talk.send({"type": "later"})
        await talk.receive()
        await talk.send({"type": "bye"})
        await talk.receive()
    assert [event["type"] for event in server.again.events] == [
        "antiphon.resume",
        "later",
        "bye",
    ]
    assert all(isinstance(frame, AudioFrame) for frame in server.first.frames)
