"""How one connection shares the gateway's event loop with the others."""

import asyncio
from typing import Any, cast

import pytest
from aiohttp import WSMessage, WSMsgType, web

from antiphon_gateway.connection import Connection
from antiphon_gateway.decoders import Decoders
from antiphon_gateway.encoded_audio import EncodedAudio
from antiphon_gateway.input_budget import InputBudget
from antiphon_gateway.live_session import LiveSession
from antiphon_gateway.outbox import Outbox

MESSAGES = 1_000


class Flood:
    """Stands for a socket whose client has sent much, and for a session that takes it at once."""

    taken = 0
    _left = MESSAGES

    def __init__(self, audio_s: float) -> None:
        """Of so many seconds of audio in each message."""
        self._audio_s = audio_s

    async def receive(self) -> WSMessage:
        """As aiohttp's socket does with what it has queued: at once."""
        self._left -= 1
        return WSMessage(WSMsgType.CLOSE if self._left < 0 else WSMsgType.TEXT, "{}", None)

    async def take(self, *_: Any) -> float:
        self.taken += 1
        return self._audio_s

    async def ready_for_more(self, *_: float) -> None:
        """It is."""


@pytest.mark.parametrize(("audio_s", "most"), [(0.0, 1), (0.02, 8)], ids=["control", "audio"])
async def test_others_get_their_turns_while_a_client_floods(audio_s: float, most: int) -> None:
    flood = Flood(audio_s)
    session, socket = cast(LiveSession, flood), cast(web.WebSocketResponse, flood)
    connection = Connection(InputBudget(), cast(Decoders, None))
    reader = asyncio.create_task(
        connection._read(socket, session, Outbox().attach(), cast(EncodedAudio, None))
    )
    while not reader.done():
        before = flood.taken
        await asyncio.sleep(0)
        assert flood.taken - before <= most
    assert flood.taken == MESSAGES
