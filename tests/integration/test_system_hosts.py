"""Five hosts with keys: one is cut off in the middle of turns, and a stranger knocks everywhere."""

import asyncio
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio
from hosts import DOMAIN, Hosts, hosts, why_not
from servers import AT_ONCE, ENGINES, TRANSCRIPT
from system import DISPATCHER, GATEWAY
from system_client import connected
from talk import Tally, spoken_turn
from zmq.utils.monitor import recv_monitor_message

from antiphon_proto import codec, curve
from antiphon_proto.addresses import process_names
from antiphon_proto.config import load
from antiphon_proto.messages import Heartbeat

_REASON = why_not()
pytestmark = [
    pytest.mark.integration,
    pytest.mark.thorough,
    pytest.mark.models,
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(_REASON), reason=_REASON),
]

FIRST_PORT = 7400
PLACES = {
    GATEWAY: 1,
    DISPATCHER: 2,
    "stt-0": 3,
    "tts-0": 3,
    "stt-1": 4,
    "tts-1": 4,
    "llm-0": 5,
}
SETTINGS: dict[str, object] = {
    **ENGINES,
    **AT_ONCE,
    "simulated.stt_ms": 200,
    "simulated.llm_token_ms": 20,
    "simulated.tts_real_time_factor": 0.3,
    "gateway.host": "0.0.0.0",
    "gateway.behind_proxy": "true",
    "gateway.api_keys": "a-key-of-these-tests",
    "bus.dispatcher": "process",
    "bus.address": f"tcp://{{name}}.{DOMAIN}:{FIRST_PORT}",
    "bus.listen_host": "0.0.0.0",
    "bus.worker_host": "0.0.0.0",
    "stt.processes": 2,
    "tts.processes": 2,
}
SESSIONS, TURNS = 3, 4
KNOCK_S = 5.0


@pytest.fixture(scope="module")
def server() -> Iterator[Hosts]:
    with hosts(SETTINGS, PLACES) as opened:
        keys = opened.directory / "keys"
        opened.settings["bus.key_dir"] = keys
        flags = [f"{key}={value}" for key, value in opened.settings.items()]
        for name in process_names(load(environment={}, settings=flags)):
            curve.make(keys, name)
        opened.start(*PLACES)
        opened.wait_ready(90)
        opened.wait_for(lambda: workers_up(opened) == 5, 30)
        yield opened
        opened.assert_no_traceback()


def workers_up(server: Hosts) -> int:
    answer = server.get("/v1/status")
    stages: dict[str, Any] = answer.json()["stages"] if answer else {}
    workers = [worker for stage in stages.values() for worker in stage["workers"]]
    return sum(worker["connected"] for worker in workers)


def tries_lost(server: Hosts) -> int:
    """Return how many jobs had to be made again so far."""
    answer = server.get("/metrics")
    assert answer
    counts = re.findall(
        r'^antiphon_dispatch_events_total\{event="reissued"\} (\S+)$', answer.body.decode(), re.M
    )
    return int(sum(map(float, counts)))


async def hold(server: Hosts, tally: Tally, turns: int) -> None:
    """Hold spoken turns in one session, and check every sample of the answers."""
    async with connected(server.realtime_url, extended=True, headers=server.headers) as client:
        await client.push_to_talk()
        for _ in range(turns):
            tally.turns += 1
            await spoken_turn(client)
        tally.check(client, turns)
        assert client.transcripts == [TRANSCRIPT] * turns


async def run_while(server: Hosts, cut: int, away_s: float) -> Tally:
    """Hold turns in several sessions, and take one host away in the middle of them."""
    tally = Tally()
    async with asyncio.TaskGroup() as talking:
        tasks = [talking.create_task(hold(server, tally, TURNS)) for _ in range(SESSIONS)]
        await asyncio.sleep(3)
        assert not any(task.done() for task in tasks)
        await asyncio.to_thread(server.cut, cut)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(server.mend, cut)
    return tally


@pytest.mark.parametrize("name", ["tts-1", DISPATCHER])
async def test_no_turn_is_lost_when_a_host_is_cut_off(server: Hosts, name: str) -> None:
    before, lost_before = len(server.log(DISPATCHER)), tries_lost(server)
    tally = await run_while(server, PLACES[name], away_s=6)
    assert (tally.turns, tally.lost, tally.faults) == (SESSIONS * TURNS, 0, [])
    said = server.log(DISPATCHER)[before:]
    assert "worker fell silent" in said or "worker lost" in said
    if name != DISPATCHER:
        assert tries_lost(server) > lost_before, "the host had no job when it was cut off"
    server.wait_for(lambda: workers_up(server) == 5, 30)
    tally = Tally()
    await hold(server, tally, 1)
    assert (tally.lost, tally.faults) == (0, [])


async def knock(endpoint: str, kind: int, server_key: bytes, pair: curve.Pair) -> tuple[int, int]:
    """Connect with a pair of keys; return the handshakes that went well and the messages heard."""
    context = zmq.asyncio.Context()
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, pair.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret)
    socket.setsockopt(zmq.CURVE_SERVERKEY, server_key)
    if kind == zmq.SUB:
        socket.setsockopt(zmq.SUBSCRIBE, b"")
    monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
    socket.connect(endpoint)
    if kind == zmq.PUSH:
        beat = Heartbeat(
            worker_id="tts-0",
            incarnation="forged",
            stage="tts",
            endpoint="tcp://10.213.77.254:9",
            slots=100,
            engine="forged",
            model="forged",
            pid=1,
        )
        with contextlib.suppress(zmq.Again):
            socket.setsockopt(zmq.SNDTIMEO, int(KNOCK_S * 1000))
            await socket.send_multipart(codec.encode(beat))
    else:
        await socket.poll(int(KNOCK_S * 1000))
    heard = 0
    while kind != zmq.PUSH and await socket.poll(0):
        await socket.recv_multipart()
        heard += 1
    welcomed = 0
    while await monitor.poll(0):
        await recv_monitor_message(monitor)
        welcomed += 1
    socket.disable_monitor()
    monitor.close(linger=0)
    socket.close(linger=0)
    context.term()
    return welcomed, heard


async def test_a_client_with_an_unlisted_key_gets_nothing(server: Hosts, tmp_path: Path) -> None:
    keys = server.directory / "keys"
    curve.make(tmp_path, "stt-0")
    stranger = curve.Keys(tmp_path, "stt-0", lambda *_: False).own
    listed = curve.Keys(keys, "stt-0", lambda *_: False)
    doors = [
        (
            f"tcp://{server.address(name)}:{port}",
            listed.of("gateway-0" if name == GATEWAY else name),
        )
        for name in (GATEWAY, DISPATCHER, "stt-0", "llm-0")
        for port in server.listening_ports(name)
        if port != server.port
    ]
    # 3 of the dispatcher, 2 of the gateway, and one for each of the workers on these two hosts;
    # which of two workers on a host a port is of does not matter to who has no key.
    assert len(doors) == 8
    kinds = (zmq.PUSH, zmq.SUB, zmq.PULL)
    tally = Tally()
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(server, tally, 3))
        knocks = [
            group.create_task(knock(endpoint, kind, key, stranger))
            for endpoint, key in doors
            for kind in kinds
        ]
    assert [task.result() for task in knocks] == [(0, 0)] * len(doors) * len(kinds)
    assert (tally.turns, tally.lost, tally.faults) == (3, 0, [])
    assert workers_up(server) == 5
    answer = server.get("/v1/status")
    assert answer
    assert b"forged" not in answer.body
    control = f"tcp://{server.address(DISPATCHER)}:{FIRST_PORT + 1}"
    welcomed, _ = await knock(control, zmq.SUB, listed.of(DISPATCHER), listed.own)
    assert welcomed == 1
