"""A message that is too large is dropped with its connection; the next one arrives."""

import asyncio
from pathlib import Path

from antiphon_proto.channel import Bus

LARGE = 3 * 1024 * 1024


async def test_an_oversize_message_never_arrives_and_the_next_one_does(tmp_path: Path) -> None:
    directory = tmp_path / "bus"
    directory.mkdir(mode=0o700)
    with Bus(directory) as bus:
        receiver = bus.pull(bus.endpoint("here"), hwm=10)
        sender = bus.push(bus.endpoint("here"), hwm=10)
        sender.connect()
        assert await sender.writable(5_000)
        assert sender.send((b"large", bytes(LARGE)))

        async def go_on() -> None:
            while True:
                sender.send((b"small", b""))
                await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as group:
            sending = group.create_task(go_on())
            arrived = [bytes(frames[0]) for frames in await receiver.receive()]
            sending.cancel()
        assert set(arrived) == {b"small"}
