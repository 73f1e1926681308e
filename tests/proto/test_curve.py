"""Channels over tcp with keys: who is let in, and what is known of the sender."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zmq
import zmq.asyncio

from antiphon_proto import curve
from antiphon_proto.addresses import may_connect, ports, process_names, tcp_address
from antiphon_proto.bus import open_bus
from antiphon_proto.channel import Bus
from antiphon_proto.config import Config, load
from antiphon_proto.errors import ConfigurationError, StartupError

REFUSED_S = 0.5
"""In which a listed peer's message arrives many times over."""


def settings(tmp_path: Path, port: int, *more: str) -> Config:
    flags = (
        f"bus.runtime_dir={tmp_path / 'run'}",
        f"bus.address=tcp://127.0.0.1:{port}",
        f"bus.key_dir={tmp_path / 'keys'}",
        *more,
    )
    return load(environment={}, settings=flags)


@pytest.fixture
def config(tmp_path: Path, unused_tcp_port: int) -> Config:
    made = settings(tmp_path, unused_tcp_port)
    for name in process_names(made):
        curve.make(tmp_path / "keys", name)
    return made


@pytest.fixture
async def gateway(config: Config) -> AsyncIterator[Bus]:
    with open_bus(config, "gateway-0") as bus:
        yield bus


async def arrives(config: Config, gateway: Bus, strange: "zmq.asyncio.Socket") -> list[list[bytes]]:
    """Send from a strange socket, then from a listed worker; return what arrived."""
    channel = gateway.pull(gateway.endpoint("gateway-0.status"), hwm=10)
    strange.connect(channel.endpoint)
    strange.send_multipart([b"strange", b""])
    await asyncio.sleep(REFUSED_S)
    with open_bus(config, "stt-0") as bus:
        worker = bus.push(bus.endpoint("gateway-0.status"), hwm=10)
        worker.connect()
        assert await worker.writable(5_000)
        assert worker.send((b"listed", b""))
        got = [list(message) for message in await channel.receive()]
    return got


async def test_a_listed_peer_is_let_in_and_known_by_name(config: Config, gateway: Bus) -> None:
    channel = gateway.pull(gateway.endpoint("gateway-0.status"), hwm=10)
    with open_bus(config, "stt-0") as bus:
        sender = bus.push(bus.endpoint("gateway-0.status"), hwm=10)
        sender.connect()
        assert await sender.writable(5_000)
        assert sender.send((b"head", b"payload"))
        [message] = await channel.receive()
    assert message == [b"head", b"payload"]
    assert message.sender == "stt-0"
    assert message.sender_host == "127.0.0.1"


@pytest.mark.parametrize("kind", ["plaintext", "unlisted", "wrong server"])
async def test_a_stranger_gets_nothing_in(config: Config, gateway: Bus, kind: str) -> None:
    context = zmq.asyncio.Context()
    socket = context.socket(zmq.PUSH)
    socket.setsockopt(zmq.LINGER, 0)
    if kind != "plaintext":
        public, secret = zmq.curve_keypair()
        owner = "gateway-0" if kind == "unlisted" else "stt-0"
        known = curve.known(Path(config.bus.key_dir))
        socket.curve_publickey, socket.curve_secretkey = public, secret
        socket.curve_serverkey = known[owner]
    try:
        assert await arrives(config, gateway, socket) == [[b"listed", b""]]
    finally:
        socket.close()
        context.term()


async def test_a_stranger_hears_no_cancellation(config: Config, gateway: Bus) -> None:
    publisher = gateway.publish(gateway.endpoint("gateway-0.control"), hwm=10)
    context = zmq.asyncio.Context()
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.connect(publisher.endpoint)
    try:
        with open_bus(config, "tts-0") as bus:
            listed = bus.subscribe(bus.endpoint("gateway-0.control"), hwm=10)
            received = asyncio.ensure_future(listed.receive())
            while not received.done():
                publisher.send((b"cancel", b""))
                await asyncio.sleep(0.02)
            assert (await received)[0] == [b"cancel", b""]
        assert not await socket.poll(int(1_000 * REFUSED_S))
    finally:
        socket.close()
        context.term()


async def test_a_key_opens_only_the_channels_of_its_role(config: Config, gateway: Bus) -> None:
    gateway.pull(gateway.endpoint("gateway-0.results"), hwm=10)
    with open_bus(config, "stt-0") as bus:
        own = bus.pull(bus.endpoint("stt-0.a.jobs"), hwm=2)
        assert own.endpoint.startswith("tcp://127.0.0.1:")
        with open_bus(config, "tts-0") as other:
            intruder = other.push(own.endpoint, hwm=2, owner="stt-0")
            intruder.connect()
            assert not await intruder.writable(int(1_000 * REFUSED_S))
        jobs = gateway.push(own.endpoint, hwm=2, owner="stt-0")
        jobs.connect()
        assert await jobs.writable(5_000)
        impostor = gateway.push(own.endpoint, hwm=2, owner="tts-0")
        impostor.connect()
        assert not await impostor.writable(int(1_000 * REFUSED_S))


def test_roles(config: Config) -> None:
    assert may_connect(config, "status", "stt-0")
    assert not may_connect(config, "status", "gateway-0")
    assert may_connect(config, "jobs", "gateway-0")
    assert not may_connect(config, "jobs", "llm-0")
    assert not may_connect(config, "", "stt-0")
    shared = load(environment={}, settings=["bus.dispatcher=process"])
    assert may_connect(shared, "requests", "gateway-0")
    assert not may_connect(shared, "requests", "stt-0")
    assert may_connect(shared, "jobs", "dispatcher")
    assert not may_connect(shared, "jobs", "gateway-0")


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("bus.address=tcp://0.0.0.0:7400", "bus.key_dir is empty.*antiphon keys make"),
        ("bus.address=tcp://10.0.0.1:7400", "bus.key_dir is empty"),
        ("bus.address=127.0.0.1:7400", "not tcp://HOST:PORT"),
        ("bus.address=tcp://127.0.0.1:65534", "the limit is 65535"),
    ],
)
def test_an_address_that_would_let_strangers_in_is_refused(setting: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        tcp_address(load(environment={}, settings=[setting]))


def test_a_worker_that_others_reach_needs_keys_too() -> None:
    flags = ["bus.address=tcp://127.0.0.1:7400", "bus.worker_host=0.0.0.0"]
    with pytest.raises(ConfigurationError, match="others can reach"):
        tcp_address(load(environment={}, settings=flags))


def test_every_channel_has_a_port_of_its_own() -> None:
    flags = ["bus.dispatcher=process", "gateway.processes=3"]
    numbers = ports(load(environment={}, settings=flags), 7_400)
    assert len(set(numbers.values())) == len(numbers) == 9


def test_a_missing_or_open_key_is_a_startup_error(config: Config, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    with pytest.raises(StartupError, match="run: antiphon keys make stt-7"):
        open_bus(config, "stt-7")
    assert (keys / "stt-0.key_secret").stat().st_mode & 0o777 == 0o600
    (keys / "stt-0.key_secret").chmod(0o644)
    with pytest.raises(StartupError, match="chmod 600"):
        open_bus(config, "stt-0")
    (keys / "gateway-0.key").unlink()
    with (
        open_bus(config, "llm-0") as bus,
        pytest.raises(StartupError, match="keys allow gateway-0"),
    ):
        bus.push(bus.endpoint("gateway-0.status"), hwm=1)


def test_keys_of_other_machines_are_allowed_by_name(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    public = curve.make(there, "stt-1")
    assert curve.make(there, "stt-1") == public
    curve.allow(here, "stt-1", public.decode())
    assert curve.known(here) == {"stt-1": public}
    with pytest.raises(ConfigurationError, match="not 40 characters"):
        curve.allow(here, "stt-1", "short")
    with pytest.raises(ConfigurationError, match="no name of a process"):
        curve.allow(here, "../evil", public.decode())
    with pytest.raises(ConfigurationError, match="its own pair"):
        curve.allow(there, "stt-1", public.decode())
