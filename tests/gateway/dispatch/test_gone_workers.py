"""Workers come and go for as long as the process of the dispatcher lives; they leave nothing."""

import asyncio
import ctypes
import gc
from collections.abc import Sequence
from pathlib import Path

from antiphon_gateway.dispatch.actions import PoolAction, Tell
from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.pool import Pool
from antiphon_gateway.dispatch.worker_side import WorkerSide
from antiphon_proto import codec
from antiphon_proto.channel import Bus
from antiphon_proto.messages import Heartbeat

HUB = "gateway-0"
WARM_UP, WORKERS = 5, 60
PIPE_BYTES = 35 * 1024
"""What libzmq has for one peer."""


class _Heap(ctypes.Structure):
    """What glibc's `mallinfo2` tells."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def allocated_bytes() -> int:
    """Return what the C heap of this process has handed out."""
    gc.collect()
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Heap
    return int(mallinfo2().uordblks)


async def test_workers_that_are_gone_hold_no_memory(tmp_path: Path) -> None:
    pool, changed = Pool(Counters()), asyncio.Event()

    def perform(actions: Sequence[PoolAction]) -> None:
        for action in actions:
            assert not isinstance(action, Tell)
            side.do(action)

    async def until_slots(count: int) -> None:
        while pool.roster.slots("tts") != count:
            changed.clear()
            await changed.wait()

    async def come_and_go(number: int) -> None:
        with Bus(tmp_path / "run") as bus:
            jobs = bus.pull(bus.endpoint(f"tts-0.{number}.jobs"), hwm=2)
            bus.subscribe(bus.endpoint(f"{HUB}.control"), hwm=2)
            status = bus.push(bus.endpoint(f"{HUB}.status"), hwm=2)
            status.connect()
            assert await status.writable(1_000)
            beat = Heartbeat(
                worker_id="tts-0",
                incarnation=str(number),
                stage="tts",
                endpoint=jobs.endpoint,
                slots=1,
                engine="simulated",
                model="none",
                pid=1,
            )
            assert status.send(codec.encode(beat))
            await until_slots(1)
        await until_slots(0)

    with Bus(tmp_path / "run") as hub:
        side = WorkerSide(hub, HUB, pool, perform, changed.set)
        serving = asyncio.create_task(side.run())
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            for number in range(WARM_UP):
                await come_and_go(number)
            before_bytes = allocated_bytes()
            for number in range(WARM_UP, WARM_UP + WORKERS):
                await come_and_go(number)
            while allocated_bytes() - before_bytes > WORKERS * PIPE_BYTES / 4:
                changed.clear()
                await changed.wait()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    assert pool.counters.workers_lost == WARM_UP + WORKERS
