"""What clients see of a gateway that stops: requests that end, a code on which they come back."""

import asyncio
import signal
from typing import Any

import aiohttp
import pytest
from openai import APIError, AsyncOpenAI, OpenAI
from openai.types.realtime import SessionCreatedEvent
from openai.types.websocket_reconnection import ReconnectingEvent
from system import GATEWAY, SIMULATED, running_system

pytestmark = [pytest.mark.integration, pytest.mark.models]

MASKED_TEXT = b"\x81\x82\0\0\0\0{}"
"""A WebSocket frame of a client; the mask is zero."""


@pytest.mark.parametrize("drain_s", [30, 0])
def test_sigterm_lets_requests_finish_while_patience_lasts(drain_s: int) -> None:
    slow = {
        "simulated.reply": "word " * 100,
        "simulated.llm_token_ms": 30,
        "gateway.drain_s": drain_s,
    }
    with running_system({**SIMULATED, **slow}) as server:
        with OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            asked: Any = [{"role": "user", "content": "Speak."}]
            stream = client.chat.completions.create(model="x", messages=asked, stream=True)
            next(iter(stream))
            server.signal(GATEWAY, signal.SIGTERM)
            server.wait_for(lambda: "gateway draining" in server.log(GATEWAY), 10)
            if drain_s:
                *_, last = stream
                assert last.choices[0].finish_reason == "stop"
            else:
                with pytest.raises(APIError):
                    list(stream)
            assert server.wait_ended(GATEWAY) == 0
        server.assert_no_traceback()


async def test_the_connection_stays_until_the_client_has_answered_the_close_code() -> None:
    """What a client sends meanwhile would be answered with a reset, which hides the code."""
    with running_system(SIMULATED) as server:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(server.realtime_url, protocols=("realtime",), autoclose=False) as talk,
        ):
            await talk.receive_json()
            server.signal(GATEWAY, signal.SIGTERM)
            closing = await talk.receive(10)
            assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 1012)
            assert talk._response.connection is not None
            transport: Any = talk._response.connection.transport
            for _ in range(20):
                assert not transport.is_closing()
                transport.write(MASKED_TEXT)
                await asyncio.sleep(0.01)
            await talk.close(code=1012)
        assert await asyncio.to_thread(server.wait_ended, GATEWAY) == 0


async def test_the_sdk_comes_back_after_a_restart_by_the_close_code() -> None:
    told: list[int] = []

    def again(event: ReconnectingEvent) -> None:
        told.append(event.close_code)

    with running_system(SIMULATED) as server:
        async with (
            AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any") as client,
            client.realtime.connect(
                model="gpt-realtime", on_reconnecting=again, max_retries=100, max_delay=0.2
            ) as connection,
        ):
            first = await connection.recv()
            server.signal(GATEWAY, signal.SIGTERM)
            coming = asyncio.ensure_future(anext(aiter(connection)))
            assert await asyncio.to_thread(server.wait_ended, GATEWAY) == 0
            await asyncio.to_thread(server.start, GATEWAY)
            second = await asyncio.wait_for(coming, 30)
            assert isinstance(first, SessionCreatedEvent)
            assert isinstance(second, SessionCreatedEvent)
            assert second.session != first.session
            assert set(told) == {1012}
