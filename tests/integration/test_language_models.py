"""`/v1/language_model`: what could answer instead, and one request that switches a live session."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp
import model_servers
import pytest
from model_servers import ModelServer
from system import SIMULATED, running_system
from system_client import connected
from ups import Up, up

from antiphon_proto.errors import StartupError

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(180)]

PATH = "/v1/language_model"
PATIENCE_S = 90.0


class Owner:
    """Whoever sits at the machine."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def state(self, **headers: str) -> dict[str, Any]:
        async with self._http.get(self._url + PATH, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            told: dict[str, Any] = await answer.json()
            return told

    async def use(self, offer: dict[str, Any], **headers: str) -> tuple[int, str]:
        wish = {"name": offer["name"], "url": offer["url"]}
        return await self.send("POST", json.dumps(wish), **headers)

    async def send(self, method: str, body: str = "", **headers: str) -> tuple[int, str]:
        headers = {"Content-Type": "application/json", **headers}
        async with self._http.request(
            method, self._url + PATH, data=body, headers=headers
        ) as answer:
            return answer.status, await answer.text()

    async def change(self, arrived: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the change once it is as it is waited for."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                change: dict[str, Any] = (await self.state())["change"]
                if arrived(change):
                    return change
                await asyncio.sleep(0.02)

    async def ended(self) -> dict[str, Any]:
        """Return the change once it has ended."""
        return await self.change(lambda change: change["state"] not in ("fetching", "switching"))


@pytest.fixture(scope="module")
def served(model_server: ModelServer) -> Iterator[Up]:
    with up("--simulated", **model_server.environment) as server:
        yield server


@pytest.fixture(scope="module")
def bare() -> Iterator[tuple[Up, ModelServer]]:
    """One beside an Ollama without a model."""
    try:
        with (
            model_servers.model_server(empty=True) as models,
            up("--simulated", OLLAMA_HOST=models.ollama) as server,
        ):
            yield server, models
    except StartupError as exc:
        pytest.skip(str(exc))


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_one_request_switches_and_the_session_goes_on_with_its_history(
    served: Up, model_server: ModelServer, http: aiohttp.ClientSession
) -> None:
    owner = Owner(http, served.url)
    before = await owner.state()
    assert before["answers"]["engine"] == "simulated"
    assert before["can_switch"]
    offers = {offer["name"]: offer for offer in before["offers"]}
    chosen = offers[f"ollama:{model_servers.CHAT}"]
    assert (chosen["server"], chosen["size_bytes"]) == ("Ollama", 98_362_432)
    assert f"ollama:{model_servers.EMBEDDING}" not in offers
    assert "smollm2-135m" in offers  # the embedded one, to go back to
    async with connected(served.realtime_url) as client:
        await client.text_only()
        await client.say_text("My name is Ada.")
        assert (await client.done())["status"] == "completed"
        assert await owner.use(chosen, Origin=served.url) == (202, "{}")
        assert (await owner.use(chosen))[0] == 409
        change = await owner.ended()
        assert change["state"] == "done", change
        assert change["keep"].startswith('[llm]\nengine = "ollama"')
        assert (await owner.state())["answers"]["model"] == model_servers.CHAT
        await client.say_text("What is my name?")
        assert (await client.done())["status"] in ("completed", "incomplete")
    asked = model_server.conversations()
    assert any({"My name is Ada.", "What is my name?"} <= set(contents) for contents in asked)


async def test_what_is_not_offered_cannot_be_asked_for(
    served: Up, http: aiohttp.ClientSession
) -> None:
    owner = Owner(http, served.url)
    elsewhere = {"name": f"ollama:{model_servers.CHAT}", "url": "http://192.0.2.1:11434"}
    status, text = await owner.use(elsewhere)
    assert (status, "not among what is offered" in text) == (400, True)
    for body in ("", "{", '{"name": 3}', '{"name": "a", "more": 1}', "x" * 10_000):
        assert (await owner.send("POST", body))[0] == 400
    form = {"Content-Type": "text/plain"}
    assert (await owner.send("POST", json.dumps(elsewhere), **form))[0] == 415
    assert (await owner.send("DELETE"))[0] == 409


async def test_pages_of_other_sites_and_whoever_comes_through_a_proxy_may_not(
    served: Up, http: aiohttp.ClientSession
) -> None:
    owner = Owner(http, served.url)
    for headers, status in (
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"X-Forwarded-For": "192.168.1.9"}, 401),
    ):
        for method in ("GET", "POST", "DELETE"):
            assert (await owner.send(method, "{}", **headers))[0] == status


async def test_a_model_is_fetched_and_used_and_what_fails_or_is_stopped_changes_nothing(
    bare: tuple[Up, ModelServer], http: aiohttp.ClientSession
) -> None:
    server, models = bare
    owner = Owner(http, server.url)
    proposal = (await owner.state())["proposal"]
    assert proposal["name"].startswith("ollama:qwen")
    assert proposal["licence"] == "Apache-2.0"
    assert proposal["size_bytes"] > 1e9
    with models.offline():
        assert (await owner.use(proposal))[0] == 202
        ended = await owner.ended()
    assert (ended["state"], "no such host" in ended["problem"]) == ("failed", True)
    assert (await owner.state())["answers"]["engine"] == "simulated"
    assert (await owner.use(proposal))[0] == 202
    change = await owner.change(lambda change: change["done_bytes"] > 0)
    assert (change["state"], change["total_bytes"]) == ("fetching", model_servers.PULLED_BYTES)
    assert (await owner.send("DELETE"))[0] == 200
    assert (await owner.ended())["state"] == "stopped"
    assert (await owner.use(proposal))[0] == 202
    ended = await owner.ended()
    assert (ended["state"], ended["problem"]) == ("done", "")
    now = await owner.state()
    assert f"ollama:{now['answers']['model']}" == proposal["name"]
    offers = {offer["name"]: offer for offer in now["offers"]}
    assert (await owner.use(offers["smollm2-135m"]))[0] == 202
    assert (await owner.ended())["state"] == "done"
    assert (await owner.state())["answers"]["demonstration"]


async def test_a_server_of_another_supervisor_is_told_how_it_is_done(
    model_server: ModelServer, http: aiohttp.ClientSession
) -> None:
    settings = {**SIMULATED, "llm.url": model_server.ollama, "gateway.api_keys": "owner"}
    with running_system(settings) as server:
        owner = Owner(http, server.url)
        assert (await owner.send("GET"))[0] == 401
        key = {"Authorization": "Bearer owner"}
        state = await owner.state(**key)
        assert not state["can_switch"]
        status, text = await owner.use(state["offers"][0], **key)
        assert (status, "antiphon up" in text) == (409, True)
