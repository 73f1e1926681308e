"""A worker's goodbye counts before its connection's end, whichever the event loop sees first."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from antiphon_gateway.dispatch.actions import PoolAction, Tell
from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.pool import Pool
from antiphon_gateway.dispatch.worker_side import WorkerSide
from antiphon_proto import codec
from antiphon_proto.channel import Bus
from antiphon_proto.messages import Goodbye, Heartbeat, Status

HUB = "gateway-0"
HEARTBEATS = 200
"""Status messages before the last; more than the event loop reads in one go."""


class Leaving:
    """A worker's sockets, closed by hand."""

    def __init__(self, bus: Bus) -> None:
        self.jobs = bus.pull(bus.endpoint("tts-0.a.jobs"), hwm=2)
        self.status = bus.push(bus.endpoint(f"{HUB}.status"), hwm=2 * HEARTBEATS)
        self.status.connect()

    def say(self, status: Status) -> None:
        assert self.status.send(codec.encode(status))

    def beat(self, slots: int) -> None:
        self.say(
            Heartbeat(
                worker_id="tts-0",
                incarnation="a",
                stage="tts",
                endpoint=self.jobs.endpoint,
                slots=slots,
                engine="simulated",
                model="none",
                pid=1,
            )
        )


@pytest.mark.parametrize("goodbye", [True, False])
async def test_a_worker_that_says_goodbye_is_not_lost(
    *, goodbye: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    pool, changed = Pool(Counters()), asyncio.Event()
    with Bus(tmp_path / "run") as hub, Bus(tmp_path / "run") as bus:

        def perform(actions: Sequence[PoolAction]) -> None:
            for action in actions:
                assert not isinstance(action, Tell)
                side.do(action)

        side = WorkerSide(hub, HUB, pool, perform, changed.set)
        serving = asyncio.create_task(side.run())
        await asyncio.sleep(0)
        worker = Leaving(bus)
        assert await worker.status.writable(1_000)
        worker.beat(slots=1)
        async with asyncio.timeout(10):
            while not pool.roster.slots("tts"):
                changed.clear()
                await changed.wait()
            for _ in range(HEARTBEATS):
                worker.beat(slots=0)
            if goodbye:
                worker.say(Goodbye(worker_id="tts-0", incarnation="a"))
            bus.close(linger_ms=1_000)
            while (left := pool.roster.get("tts-0")) and left.link != "down":
                changed.clear()
                await changed.wait()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    assert pool.counters.workers_lost == (not goodbye)
    assert [record.message for record in caplog.records] == ["worker lost"] * (not goodbye)
    assert (pool.roster.get("tts-0") is None) == goodbye
