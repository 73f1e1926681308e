"""Who may open a session: foreign origins and names, wrong keys, one session too many."""

import asyncio
from typing import Any

import aiohttp
import pytest
from system import SIMULATED, running_system
from system_client import connected

pytestmark = [pytest.mark.integration, pytest.mark.models]


async def handshake(
    url: str, headers: dict[str, str] | None = None, protocols: tuple[str, ...] = ("realtime",)
) -> tuple[int, Any]:
    """Return status and headers of a handshake: 101 when it is accepted."""
    async with aiohttp.ClientSession() as http:
        try:
            async with http.ws_connect(url, headers=headers, protocols=protocols) as opened:
                return 101, opened.protocol
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status, refused.headers


async def test_pages_of_other_sites_and_other_names_are_turned_away() -> None:
    with running_system(SIMULATED, workers={}) as server:
        server.wait_for(lambda: server.get("/healthz") is not None, 20)
        url = server.realtime_url
        for origin in ("https://evil.example", "null", f"http://127.0.0.1:{server.port + 1}"):
            assert (await handshake(url, {"Origin": origin}))[0] == 403
        assert (await handshake(url, {"Host": "evil.example"}))[0] == 403
        assert (await handshake(url, {"Origin": server.url})) == (101, "realtime")
        page = server.get("/", {"Host": "evil.example"})
        assert page is not None
        assert page.status == 403


async def test_a_wrong_key_is_refused_and_no_key_is_logged() -> None:
    keys = {**SIMULATED, "gateway.api_keys": "right-key"}
    with running_system(keys, workers={}) as system:
        system.wait_for(lambda: system.get("/healthz") is not None, 20)
        url = system.realtime_url
        offered = ("realtime", "openai-insecure-api-key.right-key")
        assert (await handshake(url))[0] == 401
        assert (await handshake(url, {"Authorization": "Bearer wrong-key"}))[0] == 401
        assert (await handshake(url, {"Authorization": "Bearer right-key"}))[0] == 101
        assert (await handshake(url, protocols=(offered[0], f"{offered[1]}s")))[0] == 401
        assert (await handshake(url, protocols=offered)) == (101, "realtime")
        assert "right-key" not in system.logs()
        assert "wrong-key" not in system.logs()


async def test_one_session_too_many_is_asked_to_come_back() -> None:
    with running_system({**SIMULATED, "gateway.max_sessions": 2}) as system:
        url = system.realtime_url
        async with connected(url) as first:
            async with connected(url):
                status, headers = await handshake(url)
                assert status == 503
                assert int(headers["Retry-After"]) > 0
                await first.say_text("Are you still there?")
                assert (await first.done())["status"] == "completed"
            assert await until_accepted(url) == 101


async def until_accepted(url: str) -> int:
    """Try until the place of a session that was closed is free."""
    async with asyncio.timeout(5):
        while (status := (await handshake(url))[0]) == 503:
            pass
    return status
