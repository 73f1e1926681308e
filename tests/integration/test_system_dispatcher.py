"""Two gateways share workers through a dispatcher process, which is killed while turns run."""

import asyncio
import signal
from collections.abc import Iterator

import pytest
from system import DISPATCHER, SIMULATED, System, system, worker_names
from system_client import Client, connected

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(120)]

GATEWAYS = ("gateway-0", "gateway-1")
WORKERS = worker_names({"stt": 1, "llm": 2, "tts": 1})
REPLY = "One reply with quite a few words in it, so that it takes a while to be said. " * 3
SHARED = {
    **SIMULATED,
    "bus.dispatcher": "process",
    "gateway.processes": 2,
    # Jobs that waited for a dead dispatcher would have new sessions refused.
    "gateway.admission_queue_wait_ms": 0,
    "simulated.reply": REPLY.strip(),
    "simulated.llm_token_ms": 20,
    "llm.slots": 4,
}
SESSIONS = 6
DELTA = "response.output_text.delta"


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    with system(SHARED) as opened:
        opened.start(DISPATCHER, *GATEWAYS, *WORKERS)
        opened.wait_for(lambda: all(is_ready(opened, index) for index in range(2)), 60)
        yield opened
        opened.assert_no_traceback()


def own_port(server: System, gateway: int) -> int:
    return server.port + 1 + gateway


def is_ready(server: System, gateway: int) -> bool:
    answer = server.get("/readyz", port=own_port(server, gateway))
    return answer is not None and answer.status == 200


def url(server: System, gateway: int) -> str:
    return f"ws://127.0.0.1:{own_port(server, gateway)}/v1/realtime"


async def ask(client: Client) -> None:
    await client.text_only()
    await client.say_text("Tell me something.")


async def answered(client: Client) -> None:
    response = await client.done()
    assert response["status"] == "completed", response
    assert client.reply_deltas == REPLY.strip()


async def test_both_gateways_use_the_same_workers(server: System) -> None:
    status = [server.get("/v1/status", port=own_port(server, index)) for index in range(2)]
    seen = [answer.json() for answer in status if answer]
    assert [each["gateway"] for each in seen] == list(GATEWAYS)
    pids = [{w["pid"] for w in each["stages"]["llm"]["workers"]} for each in seen]
    assert pids[0] == pids[1] == {server.pid("llm-0"), server.pid("llm-1")}


async def test_one_port_leads_to_every_gateway(server: System) -> None:
    names: set[str] = set()
    while names != set(GATEWAYS):
        answer = server.get("/v1/status")
        assert answer
        names.add(answer.json()["gateway"])


async def test_a_dispatcher_killed_under_load_loses_no_word(server: System) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(SESSIONS):
            group.create_task(session_over_a_death(server, number))
        await asyncio.sleep(1.0)
        for _ in range(2):
            server.kill(DISPATCHER)
            server.start(DISPATCHER)
            await asyncio.sleep(1.5)


async def session_over_a_death(server: System, number: int) -> None:
    async with connected(url(server, number % 2)) as client:
        for _ in range(3):
            client.events[1:] = []
            await ask(client)
            await answered(client)


async def test_running_jobs_go_on_without_a_dispatcher_and_waiting_ones_after_it(
    server: System,
) -> None:
    async with connected(url(server, 0)) as client, connected(url(server, 1)) as other:
        await ask(client)
        await client.event(DELTA)
        server.kill(DISPATCHER)
        await ask(other)
        # The worker that has the job talks to the gateway directly.
        await answered(client)
        assert not other.of_type(DELTA)
        server.wait_for(lambda: not is_ready(server, 0), 10, everyone_lives=False)
        server.start(DISPATCHER)
        await answered(other)
        server.wait_for(lambda: is_ready(server, 0) and is_ready(server, 1), 10)


async def test_the_jobs_of_a_killed_gateway_leave_the_workers_to_the_others(
    server: System,
) -> None:
    async with connected(url(server, 0)) as client:
        await ask(client)
        await client.event(DELTA)
        server.kill("gateway-0")
        assert await client.close_code() == 1006
    async with connected(url(server, 1)) as client:
        await ask(client)
        await answered(client)
    server.start("gateway-0")
    server.wait_for(lambda: is_ready(server, 0), 20)


async def test_the_dispatcher_ends_in_good_order(server: System) -> None:
    server.signal(DISPATCHER, signal.SIGTERM)
    assert server.wait_ended(DISPATCHER) == 0
    server.start(DISPATCHER)
    server.wait_for(lambda: is_ready(server, 0), 20)
