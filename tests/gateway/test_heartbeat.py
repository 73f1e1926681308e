"""A silent client is asked, and is lost when it does not answer although it is listened to."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest
from aiohttp import web

from antiphon_gateway import heartbeat
from antiphon_gateway.heartbeat import Heartbeat

PINGS = 3


class Line(asyncio.Transport):
    """Stands for the connection of a client that does something at each ping."""

    closed = False

    def __init__(self, at_ping: Callable[["Line"], None]) -> None:
        super().__init__()
        self._at_ping = at_ping
        self.pings = 0
        self.lost = False
        self.asked_often = asyncio.Event()

    async def ping(self) -> None:
        self.pings += 1
        if self.pings == PINGS:
            self.asked_often.set()
        self._at_ping(self)

    def abort(self) -> None:
        self.lost = True


class FullLine(Line):
    """Takes nothing."""

    async def ping(self) -> None:
        await super().ping()
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "PING_INTERVAL_S", 0.01)
    monkeypatch.setattr(heartbeat, "ANSWER_WITHIN_S", 0.01)


def watch(beat: Heartbeat, line: Line) -> asyncio.Task[None]:
    return asyncio.create_task(beat.run(cast(web.WebSocketResponse, line), line))


async def test_a_client_that_does_not_answer_is_lost() -> None:
    beat, line = Heartbeat(), Line(lambda _: None)
    beat.listen()
    await asyncio.wait_for(watch(beat, line), 10)
    assert line.lost
    assert line.pings == 1


async def test_a_client_that_answers_is_not_lost() -> None:
    beat = Heartbeat()
    line = Line(lambda _: beat.heard())
    beat.listen()
    watching = watch(beat, line)
    await asyncio.wait_for(line.asked_often.wait(), 10)
    watching.cancel()
    assert not line.lost


async def test_silence_is_not_held_against_a_client_that_is_not_listened_to() -> None:
    beat, line = Heartbeat(), Line(lambda _: None)
    watching = watch(beat, line)
    await asyncio.wait_for(line.asked_often.wait(), 10)
    assert not line.lost
    beat.listen()
    await asyncio.wait_for(watching, 10)
    assert line.lost


async def test_a_client_whose_messages_wait_to_be_taken_is_asked_and_not_lost() -> None:
    beat, line = Heartbeat(), Line(lambda _: None)
    watching = watch(beat, line)
    async with asyncio.timeout(10):
        while not line.asked_often.is_set():
            beat.listen()
            await asyncio.sleep(0)
            beat.listening = False
            await asyncio.sleep(0)
    watching.cancel()
    assert not line.lost


async def test_a_ping_that_finds_no_room_does_not_keep_the_connection() -> None:
    beat, line = Heartbeat(), FullLine(lambda _: None)
    beat.listen()
    await asyncio.wait_for(watch(beat, line), 10)
    assert line.lost


async def test_a_connection_that_is_being_closed_is_left_alone() -> None:
    beat, line = Heartbeat(), Line(lambda line: setattr(line, "closed", True))
    await asyncio.wait_for(watch(beat, line), 10)
    assert line.pings == 1
    assert not line.lost
