"""Who may connect: Origins, Hosts, keys and subprotocols, over a real server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from antiphon_gateway.exposure import is_loopback
from antiphon_gateway.security import (
    Gatekeeper,
    Handshake,
    handshake_of,
    select_subprotocol,
)
from antiphon_proto.config import Gateway
from antiphon_proto.errors import ConfigurationError

KEY = "correct-horse"


@asynccontextmanager
async def serving(gateway: Gateway) -> AsyncIterator[int]:
    """Serve a WebSocket behind the gatekeeper on loopback; give its port."""
    gatekeeper = Gatekeeper(gateway)

    async def connect(request: web.Request) -> web.StreamResponse:
        verdict = gatekeeper.judge(handshake_of(request))
        if not verdict.allowed:
            return web.Response(status=verdict.status, text=verdict.reason)
        selected = (verdict.subprotocol,) if verdict.subprotocol else ()
        websocket = web.WebSocketResponse(protocols=selected)
        await websocket.prepare(request)
        await websocket.close()
        return websocket

    app = web.Application()
    app.router.add_get("/v1/realtime", connect)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def handshake(
    port: int, headers: dict[str, str], protocols: tuple[str, ...] = ()
) -> tuple[int, str | None]:
    """Return the status of a WebSocket handshake and the subprotocol that was selected."""
    url = f"http://127.0.0.1:{port}/v1/realtime"
    async with aiohttp.ClientSession() as session:
        try:
            async with session.ws_connect(url, headers=headers, protocols=protocols) as websocket:
                return 101, websocket.protocol
        except aiohttp.WSServerHandshakeError as exc:
            return exc.status, None


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        ("http://localhost:{port}", 101),
        ("HTTP://LOCALHOST:{port}", 101),
        ("https://home.example", 101),
        ("https://home.example:443", 101),
        ("https://HOME.example", 101),
        ("http://other.example:3000", 101),
        ("https://xn--mnchen-3ya.example", 101),
        ("null", 403),
        ("", 403),
        ("http://localhost", 403),
        ("http://localhost:1", 403),
        ("https://localhost:{port}", 403),
        ("http://127.0.0.1:{port}", 403),
        ("http://localhost:{port}.evil.example", 403),
        ("http://localhost.evil.example:{port}", 403),
        ("http://evil-localhost:{port}", 403),
        ("http://localhost:{port}@evil.example", 403),
        ("http://evil.example#localhost:{port}", 403),
        ("http://localhost:{port}/", 403),
        ("http://localhost:{port}, http://evil.example", 403),
        ("https://evil.example", 403),
        ("https://home.example.evil.example", 403),
        ("https://evilhome.example", 403),
        ("https://sub.home.example", 403),
        ("https://home.example.", 403),
        ("https://home.example:8443", 403),
        ("http://home.example", 403),
        ("https://home.example:99999", 403),
        ("https://münchen.example", 403),
        ("https://hоme.example", 403),  # the first o is Cyrillic
        ("http://other.example", 403),
        ("file://", 403),
        ("file:///home/index.html", 403),
        ("chrome-extension://home.example", 403),
        ("home.example", 403),
        ("*", 403),
    ],
)
async def test_only_exact_origins_connect(origin: str | None, status: int) -> None:
    allowed = (
        "https://home.example",
        "http://other.example:3000/",
        "https://xn--mnchen-3ya.example",
    )
    async with serving(Gateway(allowed_origins=allowed)) as port:
        headers = {"Host": f"localhost:{port}"}
        if origin is not None:
            headers["Origin"] = origin.format(port=port)
        assert await handshake(port, headers) == (status, None)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 101),
        ("LocalHost:8080", 101),
        ("127.0.0.1:8080", 101),
        ("[::1]:8080", 101),
        ("home.example", 101),
        ("home.example:9999", 101),
        ("rebound.evil.example", 403),
        ("localhost.evil.example", 403),
        ("evil.example:8080", 403),
        ("192.168.1.5:8080", 403),
        ("127.0.0.1.nip.example", 403),
        ("2130706433", 403),
        ("localhost@evil.example", 403),
    ],
)
async def test_on_loopback_only_names_of_loopback_are_hosts(host: str, status: int) -> None:
    async with serving(Gateway(allowed_origins=("https://home.example",))) as port:
        assert (await handshake(port, {"Host": host}))[0] == status


async def test_a_rebound_page_is_refused_though_its_origin_is_its_host() -> None:
    async with serving(Gateway()) as port:
        rebound = {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"}
        assert (await handshake(port, rebound))[0] == 403


@pytest.mark.parametrize(
    ("headers", "protocols", "status"),
    [
        ({"Authorization": f"Bearer {KEY}"}, (), 101),
        ({"Authorization": f"bearer  {KEY} "}, (), 101),
        ({}, ("realtime", f"openai-insecure-api-key.{KEY}"), 101),
        ({"Authorization": "Bearer second"}, (), 101),
        ({}, (), 401),
        ({"Authorization": "Bearer"}, (), 401),
        ({"Authorization": "Bearer "}, (), 401),
        ({"Authorization": f"Basic {KEY}"}, (), 401),
        ({"Authorization": KEY}, (), 401),
        ({"Authorization": f"Bearer {KEY}x"}, (), 401),
        ({"Authorization": f"Bearer {KEY[:-1]}"}, (), 401),
        ({"Authorization": "Bearer schlüssel"}, (), 401),
        ({}, ("realtime", "openai-insecure-api-key.wrong"), 401),
        ({"Authorization": "Bearer wrong"}, (f"openai-insecure-api-key.{KEY}",), 401),
    ],
)
async def test_a_configured_key_is_demanded(
    headers: dict[str, str], protocols: tuple[str, ...], status: int
) -> None:
    async with serving(Gateway(api_keys=(KEY, "second"))) as port:
        assert (await handshake(port, headers, protocols))[0] == status


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer anything"}])
async def test_on_keyless_loopback_any_key_or_none_connects(headers: dict[str, str]) -> None:
    async with serving(Gateway()) as port:
        assert (await handshake(port, headers))[0] == 101


async def test_a_valid_key_does_not_excuse_a_foreign_origin() -> None:
    async with serving(Gateway(api_keys=(KEY,))) as port:
        headers = {"Origin": "https://evil.example", "Authorization": f"Bearer {KEY}"}
        assert (await handshake(port, headers))[0] == 403


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        (("realtime", "antiphon.v1"), "antiphon.v1"),
        (("antiphon.v1",), "antiphon.v1"),
        (("realtime", f"openai-insecure-api-key.{KEY}", "openai-agents-sdk.0.1"), "realtime"),
        ((f"openai-insecure-api-key.{KEY}",), None),
        (("graphql-ws",), None),
        ((), None),
    ],
)
async def test_our_subprotocol_is_selected_and_a_key_is_never_echoed(
    offered: tuple[str, ...], selected: str | None
) -> None:
    assert select_subprotocol(offered) == selected
    async with serving(Gateway()) as port:
        assert await handshake(port, {}, offered) == (101, selected)


def test_a_page_behind_tls_has_an_https_origin() -> None:
    gatekeeper = Gatekeeper(Gateway(host="0.0.0.0", api_keys=(KEY,), behind_proxy=True))
    key = f"Bearer {KEY}"
    for origin, status in [("https://voice.example", 200), ("http://voice.example", 403)]:
        verdict = gatekeeper.judge(Handshake("voice.example", True, origin, key))
        assert verdict.status == status


def test_no_reason_holds_a_key() -> None:
    verdict = Gatekeeper(Gateway(api_keys=(KEY,))).judge(
        Handshake("localhost", authorization="Bearer wrong-secret")
    )
    assert verdict.status == 401
    assert KEY not in verdict.reason
    assert "wrong-secret" not in verdict.reason


def test_a_gateway_open_to_others_without_keys_has_no_gatekeeper() -> None:
    with pytest.raises(ConfigurationError, match="set ANTIPHON_GATEWAY__API_KEYS"):
        Gatekeeper(Gateway(host="0.0.0.0"))


@pytest.mark.parametrize("origin", ["*", "home.example", "https://", "https://a/b", "null"])
def test_a_malformed_allowed_origin_stops_the_start(origin: str) -> None:
    with pytest.raises(ConfigurationError, match=r"gateway\.allowed_origins"):
        Gatekeeper(Gateway(allowed_origins=(origin,)))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_loopback_has_these_names(host: str) -> None:
    assert is_loopback(host)
