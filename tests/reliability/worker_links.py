"""B20, its other half: the network between the gateway and its workers is bad.

The workers look for the gateway at another address of loopback, where proxies stand. The gateway
sees that address as theirs, and sends jobs there.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from bars import Figure, Run, bar
from chaos_proxy import ChaosProxy, Weather, chaos_proxy
from history import History
from ports import free_port
from servers import ENGINES, System
from system import GATEWAY, system
from system_client import connected

from antiphon_proto.addresses import ports
from antiphon_proto.settings import Config

FAR = "127.0.0.2"
REPLY = "This is made far away. It has two sentences."
WEATHER = Weather(latency_ms=150, jitter_ms=50, slice_bytes=64)
WORKERS = ("stt-0", "llm-0", "llm-1", "tts-0", "tts-1")
_LISTENS = "0A"
"""State of a socket in /proc/net/tcp."""


@bar("B20w", "gateway to workers: 150 +- 50 ms, 64-byte slices, blackouts, resets, 50 turns")
async def bad_worker_network(run: Run) -> list[Figure]:
    """No turn is lost, and none is heard twice or with a gap."""
    sessions, turns = run.size(5, 2), run.size(10, 2)
    lost, faults, broken = 0, [], 0

    async def talk(url: str) -> None:
        nonlocal lost
        async with connected(url, extended=True) as client:
            for _ in range(turns):
                await client.say_text("Speak.")
                await client.done(within_s=60)
            history = History(client.events)
        lost += turns - history.completed
        faults.extend(history.judge(REPLY))

    async def disturb(proxies: list[ChaosProxy]) -> None:
        nonlocal broken
        while True:
            await asyncio.sleep(run.chance.uniform(1.5, 3.5))
            if run.chance.random() < 0.5:
                broken += run.chance.choice(proxies).reset()
            else:
                await asyncio.gather(*(proxy.dark_for(1.0) for proxy in proxies))

    settings = {**ENGINES, "simulated.reply": REPLY, "llm.slots": 8, "tts.slots": 8}
    with system(settings) as server:
        async with _far_workers(server, run.seed) as proxies, asyncio.TaskGroup() as group:
            disturbing = group.create_task(disturb(proxies))
            async with asyncio.TaskGroup() as talking:
                for _ in range(sessions):
                    talking.create_task(talk(server.realtime_url))
            disturbing.cancel()
        server.assert_no_traceback()
    run.notes |= {"connections broken": broken}
    run.notes |= {f"fault {number}": fault for number, fault in enumerate(faults[:4], 1)}
    return [
        Figure("broken connections missing", int(not broken and not run.small), 0),
        Figure("lost turns", lost, 0),
        Figure("faults in the histories", len(faults), 0),
    ]


@contextlib.asynccontextmanager
async def _far_workers(server: System, seed: int) -> AsyncIterator[list[ChaosProxy]]:
    """Start gateway and workers with proxies on every channel between them."""
    first = free_port()
    async with contextlib.AsyncExitStack() as proxies:

        async def between(numbers: Iterable[int]) -> list[ChaosProxy]:
            return [
                await proxies.enter_async_context(
                    chaos_proxy(port, WEATHER, seed=seed + port, host=FAR)
                )
                for port in numbers
            ]

        server.settings["bus.address"] = f"tcp://127.0.0.1:{first}"
        server.start(GATEWAY)
        found = await between(ports(Config(), first).values())
        server.settings["bus.address"] = f"tcp://{FAR}:{first}"
        server.start(*WORKERS)
        jobs = [await asyncio.to_thread(_job_port, server, name) for name in WORKERS]
        found += await between(jobs)
        await asyncio.to_thread(server.wait_ready)
        yield found


def _job_port(server: System, name: str) -> int:
    """Return the port on which a worker listens for jobs, once it does (Linux)."""
    found: list[int] = []

    def listens() -> bool:
        found[:] = _listening(server.pid(name))
        return bool(found)

    server.wait_for(listens, 30)
    return found[0]


def _listening(pid: int) -> list[int]:
    own = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            own.add(str(file.readlink()))
    rows = [row.split() for row in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return [
        int(row[1].rpartition(":")[2], 16)
        for row in rows
        if row[3] == _LISTENS and f"socket:[{row[9]}]" in own
    ]
