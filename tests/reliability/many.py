"""B12, B13, B15, B16: many clients at once: idle, talking, breaking off, each its own."""

import asyncio
import itertools
import random
import resource
import struct
import time

import raw
from bars import Figure, Run, bar, percentile
from history import History
from servers import (
    AT_ONCE,
    ENGINES,
    GATEWAY,
    TASKS,
    System,
    cpu_s,
    files,
    resident_bytes,
    running_up,
    tasks_beyond,
)
from system import running_system
from system_client import Client, connected
from workers_die import PAIRS

KIB, MIB = 1024, 1024 * 1024


@bar("B12", "500 idle sessions")
async def idle(run: Run) -> list[Figure]:
    """They cost little memory and hardly any time; the next one still gets in at once."""
    count, open_sessions, waits_ms = run.size(500, 30), [], []
    with running_system(ENGINES) as server:
        async with raw.opened(server.port):
            pass
        gateway = server.pid(GATEWAY)
        before_bytes = resident_bytes(gateway)
        async with asyncio.TaskGroup() as group:
            leaving = asyncio.Event()

            async def one(entered: asyncio.Event) -> None:
                began_s = time.perf_counter()
                async with raw.opened(server.port) as session:
                    await session.until(raw.TEXT)
                    waits_ms.append((time.perf_counter() - began_s) * 1000)
                    open_sessions.append(session)
                    entered.set()
                    await leaving.wait()

            for _ in range(count):
                entered = asyncio.Event()
                group.create_task(one(entered))
                await entered.wait()
            each_kib = (resident_bytes(gateway) - before_bytes) / count / KIB
            began_s, used_s = time.monotonic(), cpu_s(gateway)
            await asyncio.sleep(run.size(10, 2))
            share = (cpu_s(gateway) - used_s) / (time.monotonic() - began_s)
            leaving.set()
    return [
        Figure("sessions missing", count - len(open_sessions), 0),
        Figure("memory of each", each_kib, 50 if count >= 500 else 500, "KiB"),
        Figure("processor time", share * 100, 3, "% of a core", timed=True),
        Figure("connect p95", percentile(waits_ms, 95), 20, "ms", timed=True),
    ]


# --- B15 -------------------------------------------------------------------------------------

POINTS = (
    "connected",
    "half a handshake",
    "asked",
    "opened",
    "half a message",
    "in turn",
    "closing",
)


async def break_off(port: int, chance: random.Random) -> None:
    """Open a connection and abort it at a random point."""
    point = chance.choice(POINTS)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    greeting = raw.handshake(port)
    try:
        if point == "half a handshake":
            writer.write(greeting[: chance.randrange(1, len(greeting))])
        elif point != "connected":
            writer.write(greeting)
        if point in ("opened", "half a message", "in turn", "closing"):
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        if point == "half a message":
            writer.write(raw.frame(raw.TEXT, b" " * 100_000)[: chance.randrange(1, 100_000)])
        elif point == "in turn":
            writer.write(raw.text(type="response.create"))
            await reader.readuntil(b"response.created")
        elif point == "closing":
            writer.write(raw.frame(raw.CLOSE, struct.pack("!H", 1000)))
        await writer.drain()
    finally:
        writer.transport.abort()


async def churn(server: System, chance: random.Random, cycles: int, at_once: int = 20) -> None:
    """Break off so many connections, some at once."""
    for _ in range(cycles // at_once):
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(break_off(server.port, chance))


def left_over(server: System) -> int:
    """Return sessions, jobs and input that the gateway still has."""
    answer = server.get("/v1/status")
    assert answer is not None
    status = answer.json()
    workers = [worker for stage in status["stages"].values() for worker in stage["workers"]]
    return (
        len(status["sessions"])
        + status["pending_input_bytes"]
        + sum(worker["outstanding"] for worker in workers)
    )


@bar("B15", "10,000 connections broken off at random points")
async def breaking_off(run: Run) -> list[Figure]:
    """Nothing of them stays behind."""
    with running_system({**ENGINES, "gateway.handshake_timeout_s": 1.0}) as server:
        gateway = server.pid(GATEWAY)
        await churn(server, run.chance, run.size(1_000, 60))
        await quiet(server)
        before_bytes, before_files = resident_bytes(gateway), files(gateway)
        before_tasks = server.metric(TASKS)
        await churn(server, run.chance, run.size(9_000, 140))
        await quiet(server)
        more_tasks = await tasks_beyond(server, before_tasks)
        left, grown = left_over(server), resident_bytes(gateway) - before_bytes
        more_files = files(gateway) - before_files
        server.assert_no_traceback()
    return [
        Figure("sessions, jobs and input left", left, 0),
        Figure("tasks more than before", more_tasks, 0),
        Figure("memory grown", max(0, grown) / MIB, 10, "MiB"),
        Figure("files opened more", max(0, more_files), 2),
    ]


@bar("B15b", "2,000 handshakes left half open")
async def half_open(run: Run) -> list[Figure]:
    """A new session opens and is answered beside them; in the end they are cut off."""
    count = run.size(2_000, 200)
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    with running_system({**ENGINES, "gateway.handshake_timeout_s": run.size(10, 3)}) as server:
        half = raw.handshake(server.port)[:-2]
        lines = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(count)]
        for _, writer in lines:
            writer.write(half)
        began_s = time.perf_counter()
        async with connected(server.realtime_url) as client:
            opened_ms = (time.perf_counter() - began_s) * 1000
            early = sum(reader.at_eof() for reader, _ in lines)
            await client.say_text("Still there?")
            lost = (await client.done())["status"] != "completed"
        endings = [asyncio.wait_for(reader.read(), 60) for reader, _ in lines]
        answered = sum(map(len, await asyncio.gather(*endings)))
        left = left_over(server)
        server.assert_no_traceback()
    return [
        Figure("cut off before the session was open", early, 0),
        Figure("bytes answered to half a handshake", answered, 0),
        Figure("turns lost beside them", lost, 0),
        Figure("sessions, jobs and input left", left, 0),
        Figure("a new session", opened_ms, 1_000, "ms", timed=True),
    ]


async def quiet(server: System) -> None:
    """Wait until everything has ended, 20 s at most."""
    for _ in range(100):
        if not left_over(server):
            break
        await asyncio.sleep(0.2)
    await asyncio.sleep(1.5)


# --- B16 -------------------------------------------------------------------------------------

MARKED = "I heard {heard} and nothing else. That is all of it."


@bar("B16", "50 sessions with marked words and samples, while workers are killed")
async def isolation(run: Run) -> list[Figure]:
    """No session ever gets a word or a sample of another."""
    count, turns = run.size(50, 12), run.size(4, 2)
    foreign: list[str] = []
    lost = 0
    settings = {**ENGINES, **AT_ONCE, **PAIRS, "simulated.reply": MARKED}
    settings |= {"llm.slots": 16, "tts.slots": 8, "simulated.llm_token_ms": 20}

    async def hold(url: str, number: int) -> None:
        nonlocal lost
        async with connected(url, extended=True) as client:
            for turn in range(turns):
                mark = f"mark {number} of {turn}"
                await client.say_text(mark)
                response = await client.done(within_s=60)
                lost += response["status"] != "completed"
                foreign.extend(_foreign(client, mark))
                del client.events[1:]

    with running_up(settings, run.supervisor) as server:
        async with asyncio.TaskGroup() as group:
            killing = group.create_task(_kill_some(run, server))
            async with asyncio.TaskGroup() as talking:
                for number in range(count):
                    talking.create_task(hold(server.realtime_url, number))
            killing.cancel()
    run.notes |= {f"fault {n}": text for n, text in enumerate(foreign[:5])}
    return [Figure("lost turns", lost, 0), Figure("foreign or wrong", len(foreign), 0)]


def _foreign(client: Client, mark: str) -> list[str]:
    return History(client.events).judge(MARKED.replace("{heard}", mark))


async def _kill_some(run: Run, server: System) -> None:
    for _ in itertools.count():
        await asyncio.sleep(3.0 if not run.small else 1.0)
        server.kill(f"{run.chance.choice(('stt', 'llm', 'tts'))}-{run.chance.randrange(2)}")
