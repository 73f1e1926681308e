"""Processes that meet over tcp with keys, and strangers at every endpoint."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ports import free_port
from system import (
    DISPATCHER,
    GATEWAY,
    ONE_EACH,
    SIMULATED,
    SUBMITTED,
    System,
    system,
    worker_names,
)
from system_client import connected
from zmtp_fuzz import attack

from antiphon_proto import codec, curve
from antiphon_proto.addresses import ports, process_names
from antiphon_proto.bus import open_bus
from antiphon_proto.config import Config, load
from antiphon_proto.messages import Heartbeat

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(120)]

CONNECTIONS = 60
"""To each endpoint; `python tests/support/zmtp_fuzz.py` makes thousands."""
WORKERS = worker_names(ONE_EACH)
REPLY = "This came over the network."
SPOKEN = {**SIMULATED, "simulated.reply": REPLY}


def configured(server: System) -> Config:
    flags = [f"{key}={value}" for key, value in server.settings.items()]
    return load(environment={}, settings=flags)


@contextlib.contextmanager
def networked() -> Iterator[System]:
    with system({**SPOKEN, "bus.dispatcher": "process"}) as server:
        server.settings["bus.address"] = f"tcp://127.0.0.1:{free_port()}"
        server.settings["bus.key_dir"] = server.directory / "keys"
        for name in process_names(configured(server)):
            curve.make(server.directory / "keys", name)
        server.start(DISPATCHER)
        server.start_with_told_jobs(*WORKERS)
        yield server
        server.assert_no_traceback()


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    with networked() as opened:
        yield opened


async def a_turn_is_answered(server: System) -> None:
    async with connected(server.realtime_url) as client:
        await client.text_only()
        await client.say_text("Are you there?")
        assert (await client.done())["status"] == "completed"
        assert client.reply_deltas == REPLY


async def test_a_turn_is_answered_over_the_network(server: System) -> None:
    await a_turn_is_answered(server)
    assert not list((server.directory / "run").glob("*.jobs"))


async def test_a_worker_cannot_announce_itself_as_another(server: System) -> None:
    config = configured(server)
    with open_bus(config, "stt-0") as bus:
        status = bus.push(bus.endpoint("dispatcher.status"), hwm=10)
        status.connect()
        assert await status.writable(5_000)
        for worker_id, stage in (("llm-0", "llm"), ("llm-7", "llm"), ("stt-0", "llm")):
            beat = Heartbeat(
                worker_id=worker_id,
                incarnation="forged",
                stage=stage,  # type: ignore[arg-type]
                endpoint="tcp://127.0.0.1:9",
                slots=100,
                engine="forged",
                model="forged",
                pid=1,
            )
            assert status.send(codec.encode(beat))
        server.wait_for(lambda: "malformed" in server.log(DISPATCHER), 10)
    await a_turn_is_answered(server)
    answer = server.get("/v1/status")
    assert answer
    assert b"forged" not in answer.body


async def test_strangers_at_every_port_change_nothing(server: System, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    config = configured(server)
    first = int(config.bus.address.rpartition(":")[2])
    submitted = server.metric(SUBMITTED)
    for seed, port in enumerate(ports(config, first).values()):
        endpoint = f"tcp://127.0.0.1:{port}"
        assert attack(endpoint, seed, CONNECTIONS, canary) == CONNECTIONS
    assert server.metric(SUBMITTED) == submitted
    await a_turn_is_answered(server)
    assert server.job_ends()
    assert server.strangers_jobs() == 0
    assert not canary.exists()


async def test_strangers_at_every_file_change_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    with system(SPOKEN) as server:
        server.start_with_told_jobs(*WORKERS)
        sockets = [path for path in (server.directory / "run").iterdir() if path.is_socket()]
        # Results, status, control, and where sessions are handed over.
        assert len(sockets) == 4 + len(WORKERS)
        for seed, path in enumerate(sockets):
            assert attack(f"ipc://{path}", seed, CONNECTIONS, canary) == CONNECTIONS
        assert server.metric(SUBMITTED) == 0
        await a_turn_is_answered(server)
        assert server.job_ends()
        assert server.strangers_jobs() == 0
        server.assert_no_traceback()
    assert not canary.exists()


@pytest.mark.parametrize("name", [DISPATCHER, GATEWAY, "stt-0"])
def test_an_open_network_without_keys_is_refused(name: str) -> None:
    with system({"bus.address": "tcp://0.0.0.0:7400", "bus.dispatcher": "process"}) as server:
        server.start(name)
        assert server.wait_ended(name) == 2
        assert "set bus.key_dir and run: antiphon keys make" in server.log(name)
