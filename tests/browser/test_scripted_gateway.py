"""What the tests of the page lean on: the gateway that they script."""

import asyncio

from aiohttp import ClientSession, WSMsgType
from scripted_gateway import ScriptedGateway


async def test_a_close_waits_for_the_answer_of_the_page(gateway: ScriptedGateway) -> None:
    async with (
        ClientSession() as http,
        http.ws_connect(f"{gateway.url}v1/realtime", autoclose=False) as page,
        asyncio.timeout(15),
    ):
        await gateway.connected()
        assert (await page.receive_json())["type"] == "session.created"
        closing = asyncio.create_task(gateway.close(1012))
        message = await page.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1012)
        await asyncio.sleep(0.05)
        assert not closing.done()
        await page.send_bytes(b"")
        await page.close(code=1012)
        await closing
