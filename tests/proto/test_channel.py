"""Channels over real sockets: nothing waits, nothing is accepted for a dead peer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from antiphon_proto.channel import Bus
from antiphon_proto.errors import StartupError


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    with Bus(tmp_path / "run") as opened:
        yield opened


async def test_a_message_arrives_with_its_payload(bus: Bus) -> None:
    receiver = bus.pull(bus.endpoint("jobs"), hwm=4)
    sender = bus.push(bus.endpoint("jobs"), hwm=4)
    sender.connect()
    assert await sender.writable(1_000)
    assert sender.send((b"head", b"payload"))
    assert await receiver.receive() == [[b"head", b"payload"]]


async def test_a_send_without_peer_is_refused_at_once(bus: Bus) -> None:
    sender = bus.push(bus.endpoint("nobody"), hwm=4)
    sender.connect()
    assert not sender.send((b"head", b""))


async def test_a_full_pipe_is_refused_at_once(bus: Bus) -> None:
    bus.pull(bus.endpoint("jobs"), hwm=1)
    sender = bus.push(bus.endpoint("jobs"), hwm=1)
    sender.connect()
    assert await sender.writable(1_000)
    sent = 0
    while sender.send((b"head", bytes(60_000))):
        sent += 1
        assert sent < 1_000


async def test_a_high_water_mark_of_one_does_not_hold_a_stalled_peer_to_one_message(
    bus: Bus,
) -> None:
    # Why jobs are counted by credits: the kernel's buffers come on top of the mark.
    bus.pull(bus.endpoint("jobs"), hwm=1)
    sender = bus.push(bus.endpoint("jobs"), hwm=1)
    sender.connect()
    assert await sender.writable(1_000)
    parked = 0
    while await sender.writable(100):
        assert sender.send((b"head", bytes(1_000)))
        parked += 1
        assert parked < 100_000
    assert parked > 4


async def test_what_a_dead_peer_would_have_got_is_refused(bus: Bus) -> None:
    receiver = bus.pull(bus.endpoint("jobs"), hwm=4)
    sender = bus.push(bus.endpoint("jobs"), hwm=4)
    async with asyncio.timeout(5), aclosing(sender.watch()) as events:
        sender.connect()
        assert await anext(events) == "connected"
        receiver.close()
        assert await anext(events) == "disconnected"
        # The event comes from libzmq's thread and may be ahead of the socket; four would be parked.
        for _ in range(3):
            if not (accepted := sender.send((b"head", b""))):
                break
            await asyncio.sleep(0.02)
        assert not accepted


async def test_a_watcher_sees_the_peer_come_and_go(bus: Bus) -> None:
    receiver = bus.pull(bus.endpoint("jobs"), hwm=4)
    sender = bus.push(bus.endpoint("jobs"), hwm=4)
    async with asyncio.timeout(5), aclosing(sender.watch()) as events:
        sender.connect()
        assert await anext(events) == "connected"
        receiver.close()
        assert await anext(events) == "disconnected"


async def test_a_subscriber_hears_the_publisher(bus: Bus) -> None:
    publisher = bus.publish(bus.endpoint("control"), hwm=10)
    subscriber = bus.subscribe(bus.endpoint("control"), hwm=10)
    received = asyncio.ensure_future(subscriber.receive())
    while not received.done():
        publisher.send((b"cancel", b""))
        await asyncio.sleep(0.01)
    assert (await received)[0] == [b"cancel", b""]


async def test_an_endpoint_that_cannot_be_bound_is_a_startup_error(tmp_path: Path) -> None:
    with Bus(tmp_path / "run") as bus:
        bus.pull(bus.endpoint("jobs"), hwm=1)
        with pytest.raises(StartupError, match="cannot bind"):
            bus.pull("tcp://203.0.113.1:1", hwm=1)


def test_a_directory_others_can_read_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(StartupError, match="mode 0700"):
        Bus(tmp_path)


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with Bus(tmp_path / "run") as bus, pytest.raises(StartupError, match="over the limit of 107"):
        bus.endpoint("x" * 120)
