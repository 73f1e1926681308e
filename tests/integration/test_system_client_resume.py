"""The Python client over a bad network: whoever uses it hears nothing of that."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from chaos_proxy import chaos_proxy
from resuming_client import assert_is_speech_of
from system import System
from talkative_system import REPLY, talkative

from antiphon.connection import Audio, Connection, connect
from antiphon.events import ResponseDone, TextDelta

pytestmark = [pytest.mark.integration, pytest.mark.models]


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    with talkative({}) as system:
        yield system


async def ask(talk: Connection) -> None:
    content = [{"type": "input_text", "text": "Say a lot."}]
    item = {"type": "message", "role": "user", "content": content}
    await talk.send({"type": "conversation.item.create", "item": item})
    await talk.send({"type": "response.create"})


async def test_a_reply_is_heard_whole_though_the_network_breaks_and_is_dark(server: System) -> None:
    spoken, clauses, pieces = bytearray(), [], 0
    async with (
        chaos_proxy(server.port) as proxy,
        connect(f"ws://127.0.0.1:{proxy.port}") as talk,
        asyncio.TaskGroup() as group,
    ):
        await ask(talk)
        async for message in talk:
            if isinstance(message, Audio):
                spoken += message.pcm
                pieces += 1
                if pieces in (3, 9):
                    proxy.reset()
                elif pieces == 15:
                    proxy.blackout(refuse=True)
                    proxy.reset()
                    group.create_task(end_of_the_night(proxy.light))
            elif isinstance(message, TextDelta):
                clauses.append(message.delta)
            elif isinstance(message, ResponseDone):
                assert message.response.status == "completed"
                break
        assert talk.resumptions == 3
        assert "".join(clauses) == REPLY
        assert_is_speech_of(bytes(spoken), talk.session.id, clauses)


async def end_of_the_night(light: Callable[[], None]) -> None:
    await asyncio.sleep(1.0)
    light()
