"""What operators see: figures that fit what happened, nothing that was said, nobody else."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from system import GATEWAY, SIMULATED, System, running_system
from system_client import connected

from antiphon_gateway.connection import MAX_TEXT_BYTES
from antiphon_proto import __version__
from antiphon_proto.messages import STAGES

pytestmark = [pytest.mark.integration, pytest.mark.models]

SECRET = "the password is correct horse"
SPOKEN = {
    **SIMULATED,
    "simulated.transcript": SECRET,
    "simulated.reply": SECRET,
    "log.level": "DEBUG",
}

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    with running_system(SPOKEN) as running:
        yield running
        running.assert_no_traceback()


def metrics(server: System) -> Samples:
    """Return every sample of `/metrics`, by name and labels."""
    answer = server.get("/metrics")
    assert answer is not None
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def by_stage(samples: Samples, name: str) -> list[float]:
    """Return one value for each stage."""
    return [samples[name, (("stage", stage),)] for stage in STAGES]


async def test_figures_fit_what_happened_and_hold_no_words(server: System) -> None:
    before = metrics(server)
    assert by_stage(before, "antiphon_worker_up") == [1, 1, 1]
    assert by_stage(before, "antiphon_queue_depth") == [0, 0, 0]
    assert all(taken_s > 0 for taken_s in by_stage(before, "antiphon_worker_model_load_seconds"))
    async with connected(server.realtime_url) as client:
        await client.speak("dog_or_cat")
        assert (await client.done())["status"] == "completed"
        await client.say_text("More.")
        await client.event("response.created")
        await client.send("response.cancel")
        assert (await client.done())["status"] == "cancelled"
        open_ = metrics(server)
        assert open_["antiphon_sessions_active", ()] == 1
        answer = server.get("/v1/status")
    server.wait_for(lambda: metrics(server)["antiphon_sessions_active", ()] == 0, 10)
    after = metrics(server)

    def grew(name: str, **labels: str) -> float:
        key = name, tuple(sorted(labels.items()))
        return after[key] - before.get(key, 0.0)

    assert grew("antiphon_turns_total", outcome="completed") == 1
    assert grew("antiphon_turns_total", outcome="cancelled") == 1
    assert grew("antiphon_turn_response_latency_seconds_count") == 1
    assert grew("antiphon_sessions_total", outcome="closed") == 1
    assert grew("antiphon_queue_wait_seconds_count", stage="stt", urgent="true") >= 1
    ended = {"stage": "stt", "kind": "transcribe_final", "outcome": "done"}
    assert grew("antiphon_stage_duration_seconds_count", **ended) >= 1
    assert grew("antiphon_dispatch_events_total", event="submitted") >= 4
    # Nobody was ever sent more than they take.
    assert after["antiphon_dispatch_events_total", (("event", "high_water_hits"),)] == 0
    assert grew("antiphon_event_loop_lag_seconds_count") > 0
    assert after["process_resident_memory_bytes", ()] > 1e6
    assert answer is not None
    status = answer.json()
    assert (status["version"], status["draining"], status["overloaded"]) == (__version__, False, [])
    [worker] = status["stages"]["tts"]["workers"]
    assert (worker["worker_id"], worker["engine"]) == ("tts-0", "simulated")
    assert worker["pid"] == server.pid("tts-0")
    [session] = status["sessions"]
    assert set(session) == {"id", "age_s", "state", "extensions"}
    assert session["id"].startswith("sess_")
    shown = json.dumps(status) + json.dumps([str(key) for key in after])
    assert "password" not in shown
    assert session["id"] not in json.dumps([str(key) for key in after])


async def test_every_log_line_of_a_turn_names_its_session_and_turn(server: System) -> None:
    async with connected(server.realtime_url) as client:
        await client.speak("dog_or_cat")
        assert (await client.done())["status"] == "completed"
        session_id = client.events[0]["session"]["id"]
        server.wait_for(lambda: len(lines_of(server, session_id, "tts-0")) > 0, 10)
    server.wait_for(lambda: metrics(server)["antiphon_sessions_active", ()] == 0, 10)
    of_gateway = lines_of(server, session_id, GATEWAY)
    events = [line["event"] for line in of_gateway]
    assert events[0] == "session opened"
    assert {"turn over", "turn answered", "session closed"} <= set(events)
    [turn_id] = [line["turn_id"] for line in of_gateway if line["event"] == "turn answered"]
    for line in of_gateway:
        assert "turn_id" in line or line["event"].startswith("session "), line
    for stage in STAGES:
        of_worker = lines_of(server, session_id, f"{stage}-0")
        assert ("job done", turn_id) in [(line["event"], line.get("turn_id")) for line in of_worker]
        assert all("turn_id" in line for line in of_worker)


def lines_of(server: System, session_id: str, name: str) -> list[dict[str, Any]]:
    return [line for line in server.events(name) if line.get("session_id") == session_id]


async def test_a_session_whose_client_breaks_the_rules_ends_at_once(server: System) -> None:
    policy = "antiphon_sessions_total", (("outcome", "policy"),)
    before = metrics(server).get(policy, 0.0)
    async with connected(server.realtime_url, extended=True) as client:
        await client.socket.send_str(" " * (MAX_TEXT_BYTES + 1))
        assert await client.close_code() == 1009
    server.wait_for(lambda: metrics(server)["antiphon_sessions_active", ()] == 0, 10)
    assert metrics(server)[policy] == before + 1


async def test_a_session_in_its_turn_is_shown_as_such(server: System) -> None:
    async with connected(server.realtime_url) as client:
        assert states(server) == ["idle"]
        await client.say_text("Speak.")
        await client.event("response.created")
        assert states(server) == ["in turn"]
        await client.done()


def states(server: System) -> list[str]:
    answer = server.get("/v1/status")
    assert answer is not None
    return [session["state"] for session in answer.json()["sessions"]]


@pytest.mark.parametrize("path", ["/metrics", "/v1/status"])
def test_strangers_see_nothing_with_no_key_or_a_wrong_one(server: System, path: str) -> None:
    for headers in (
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9", "Authorization": "Bearer anything"},
        {"Origin": "https://evil.example"},
    ):
        answer = server.get(path, headers)
        assert answer is not None
        assert answer.status == 401
        assert b"antiphon_" not in answer.body


def test_a_lasting_key_is_enough_from_anywhere_and_a_client_secret_is_not() -> None:
    keyed = {**SIMULATED, "gateway.api_keys": "lasting"}
    with running_system(keyed, workers={}) as server:
        server.wait_for(lambda: server.get("/healthz") is not None, 20)

        def status(key: str) -> int:
            away = {"X-Forwarded-For": "203.0.113.9", "Authorization": f"Bearer {key}"}
            answer = server.get("/metrics", away)
            assert answer is not None
            return answer.status

        assert status("lasting") == 200
        assert status("wrong") == 401
        assert status(asyncio.run(client_secret(server))) == 401
        local = server.get("/metrics")
        assert local is not None
        assert local.status == 200


async def client_secret(server: System) -> str:
    url = f"{server.url}/v1/realtime/client_secrets"
    headers = {"Authorization": "Bearer lasting"}
    async with aiohttp.ClientSession() as http, http.post(url, headers=headers) as answer:
        return str((await answer.json())["value"])


async def test_a_busy_stage_refuses_newcomers_and_takes_them_again_when_it_is_not() -> None:
    busy = {**SIMULATED, "simulated.llm_first_token_ms": 700, "llm.slots": 1}
    busy["gateway.admission_queue_wait_ms"] = 300
    with running_system(busy) as server:
        async with AsyncExitStack() as stack:
            opening = [connected(server.realtime_url) for _ in range(8)]
            clients = [await stack.enter_async_context(each) for each in opening]
            for client in clients:
                await client.text_only()
                await client.say_text("Hello?")
            refused = await until_status(server, 503)
            assert int(refused["Retry-After"]) > 0
            assert metrics(server)["antiphon_admission_refusing", (("stage", "llm"),)] == 1
            for client in clients:
                assert (await client.done())["status"] == "completed"
        await until_status(server, 101)
        assert metrics(server)["antiphon_sessions_refused_total", (("cause", "overloaded"),)] >= 1


async def until_status(server: System, status: int) -> Mapping[str, str]:
    """Try to open sessions until one is answered with this status; return the headers."""
    async with asyncio.timeout(40):
        while True:
            try:
                async with connected(server.realtime_url):
                    answered, headers = 101, {}
            except aiohttp.WSServerHandshakeError as refused:
                answered, headers = refused.status, dict(refused.headers or {})
            if answered == status:
                return headers
            await asyncio.sleep(0.1)
