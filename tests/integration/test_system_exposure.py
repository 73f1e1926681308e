"""A gateway that others could reach: it refuses to start, or encrypts; keys for one session."""

import json
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from certificates import make_certificate, needs_openssl
from openai import AsyncOpenAI
from system import GATEWAY, SIMULATED, running_system, system
from system_client import Client, connected

from antiphon import readiness
from antiphon_proto.config import Gateway

pytestmark = [pytest.mark.integration, pytest.mark.models]

KEY = "lasting-secret"


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({}, "gateway.api_keys is empty; set ANTIPHON_GATEWAY__API_KEYS"),
        ({"gateway.api_keys": KEY}, "nothing encrypts; set gateway.tls_certificate"),
    ],
)
def test_an_open_gateway_does_not_start_and_says_what_to_set(
    settings: dict[str, object], remedy: str
) -> None:
    with system({**SIMULATED, "gateway.host": "0.0.0.0", **settings}) as server:
        server.start(GATEWAY)
        assert server.wait_ended(GATEWAY) == 2
        [line] = server.log(GATEWAY).splitlines()
        assert remedy in line
        assert KEY not in line


def test_a_proxy_that_encrypts_is_told_of_by_a_flag() -> None:
    elsewhere = {"gateway.host": "192.0.2.1", "gateway.api_keys": KEY}
    with system({**SIMULATED, **elsewhere, "turn_taking.detector": "loudness"}) as server:
        server.arguments = ["--behind-proxy"]
        server.start(GATEWAY)
        assert server.wait_ended(GATEWAY) == 2
        assert "cannot listen on 192.0.2.1" in server.log(GATEWAY)


@needs_openssl
async def test_with_a_certificate_sessions_are_encrypted(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    tls = {"gateway.tls_certificate": certificate, "gateway.tls_key": key}
    with running_system({**SIMULATED, **tls}, workers={}) as server:
        answers = Gateway(port=server.port, tls_certificate=str(certificate), tls_key=str(key))
        server.wait_for(lambda: readiness.ask(answers) is not None, 20)
        assert readiness.page_address(answers) == f"https://localhost:{server.port}"
        trusted = ssl.create_default_context(cafile=str(certificate))
        url = f"https://localhost:{server.port}"
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{url}/healthz", ssl=trusted) as answer:
                assert answer.headers["Strict-Transport-Security"]
            origin = {"Origin": url}
            async with http.ws_connect(f"{url}/v1/realtime", ssl=trusted, headers=origin) as ws:
                client = Client(ws)
                await client.event("session.created")
                await client.update(instructions="Go on.")
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await http.ws_connect(
                    f"{url}/v1/realtime", ssl=trusted, headers={"Origin": url.replace("s:", ":")}
                )
        assert server.get("/healthz") is None


async def test_a_client_secret_opens_one_session_with_its_settings() -> None:
    with running_system({**SIMULATED, "gateway.api_keys": KEY}, workers={}) as server:
        server.wait_for(lambda: server.get("/healthz") is not None, 20)
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=KEY) as openai:
            secret = await openai.realtime.client_secrets.create(
                expires_after={"anchor": "created_at", "seconds": 30},
                session={"type": "realtime", "instructions": "Answer in rhyme."},
            )
        assert secret.value.startswith("ek_")
        headers = {"Authorization": f"Bearer {secret.value}"}
        async with connected(server.realtime_url, headers=headers) as client:
            session = client.events[0]["session"]
            assert session["instructions"] == "Answer in rhyme."
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with connected(server.realtime_url, headers=headers):
                    pass
            assert refused.value.status == 401
        assert secret.value not in server.logs()


async def test_client_secrets_are_made_for_lasting_keys_and_sound_requests_only() -> None:
    with running_system({**SIMULATED, "gateway.api_keys": KEY}, workers={}) as server:
        server.wait_for(lambda: server.get("/healthz") is not None, 20)
        url = f"{server.url}/v1/realtime/client_secrets"

        async def post(body: str, key: str = KEY, **headers: str) -> tuple[int, Any]:
            headers["Authorization"] = f"Bearer {key}"
            async with (
                aiohttp.ClientSession() as http,
                http.post(url, data=body, headers=headers) as answer,
            ):
                return answer.status, await answer.json()

        assert (await post("", key="wrong"))[0] == 401
        assert (await post("", Origin="https://evil.example"))[0] == 403
        status, made = await post("")
        assert (status, made["session"]["type"]) == (200, "realtime")
        assert (await post("", key=made["value"]))[0] == 401
        status, made = await post(json.dumps({"session": {"type": "transcription"}}))
        assert (status, made["session"]["type"]) == (200, "transcription")
        headers = {"Authorization": f"Bearer {made['value']}"}
        async with connected(server.realtime_url, headers=headers) as client:
            assert client.events[0]["session"]["type"] == "transcription"
        for body, names in (
            ("{", "JSON"),
            ("[]", "object"),
            ("[" * 100_000, "JSON"),
            (json.dumps({"expires_after": {"seconds": 9}}), "expires_after.seconds"),
            (json.dumps({"expires_after": {"anchor": "now"}}), "expires_after.anchor"),
            (json.dumps({"session": {"output_modalities": ["smell"]}}), "output_modalities"),
            (" " * 600_000, "524288 bytes"),
        ):
            status, answer = await post(body)
            assert status == 400, body[:80]
            assert names in json.dumps(answer), answer
        server.assert_no_traceback()
