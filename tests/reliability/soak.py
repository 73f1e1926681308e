"""`make soak`, B14: turns for an hour, a fault every 30 s; what the gateway holds must not grow."""

import argparse
import asyncio
import json
import math
import os
import random
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parents[1])]

from servers import ENGINES, GATEWAY, TASKS, Up, files, resident_bytes, running_up  # noqa: E402
from talk import Tally  # noqa: E402
from workers_die import PAIRS  # noqa: E402

SESSIONS, FAULT_PERIOD_S, SAMPLE_PERIOD_S = 20, 30.0, 5.0
WARM_UP_SHARE = 1 / 6
FULL = 503
MOST_MIB_AN_HOUR = 2.0
MIB = 1024 * 1024
MOST_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""How many the gateway may have more: its event loop's pool starts a thread whenever those it has
are busy, up to this number, and keeps it. One of them ran before the first sample; the voice
activity detector's starts with the first speech. A thread left by each turn, session or fault would
be far more."""


class Sample(NamedTuple):
    """What the gateway held at one moment."""

    at_s: float
    resident_mib: float
    files: int
    threads: int
    tasks: int
    load: float
    """Processes of the machine that ran or wanted to, in the minute before."""


def sample(server: Up, began_s: float) -> Sample | None:
    """Return what the gateway holds now; None when it does not tell within 5 s."""
    pid = server.pid(GATEWAY)
    try:
        tasks = server.metric(TASKS)
    except TimeoutError:
        return None
    return Sample(
        time.monotonic() - began_s,
        resident_bytes(pid) / MIB,
        files(pid),
        len(list(Path(f"/proc/{pid}/task").iterdir())),
        int(tasks),
        os.getloadavg()[0],
    )


def slope(samples: list[Sample]) -> tuple[float, float]:
    """Return the growth of memory in MiB an hour, and half of its 95 % interval.

    One value a minute, its median: resident memory stays the same over several samples, and an
    interval that takes them as independent is too narrow. Of less than three minutes: not a number.
    """
    minutes = by_minute(samples)
    if len(minutes) < 3:
        return math.nan, math.nan
    hours = [minute / 60 for minute in minutes]
    sizes = list(minutes.values())
    rate, start = statistics.linear_regression(hours, sizes)
    rest = [size - start - rate * hour for hour, size in zip(hours, sizes, strict=True)]
    spread = sum((hour - statistics.fmean(hours)) ** 2 for hour in hours)
    error = (sum(value * value for value in rest) / max(1, len(rest) - 2) / spread) ** 0.5
    return rate, 1.96 * error


class Soaked(NamedTuple):
    """What became of the turns, and what the gateway held meanwhile."""

    tally: Tally
    samples: list[Sample]
    kills: list[str]
    refusals: list[float]
    """How long each session had to wait that admission refused, in seconds."""


async def soak(server: Up, minutes: float, chance: random.Random) -> Soaked:
    """Hold turns until time is up."""
    began_s = time.monotonic()
    tally, samples, kills, refusals = found = Soaked(Tally(), [], [], [])
    end_s = began_s + 60 * minutes

    async def talk() -> None:
        while time.monotonic() < end_s:
            try:
                await tally.hold(server.realtime_url, 3)
            except aiohttp.WSServerHandshakeError as refusal:
                if refusal.status != FULL or refusal.headers is None:
                    raise
                refusals.append(float(refusal.headers["Retry-After"]))
                await asyncio.sleep(refusals[-1])

    async def disturb() -> None:
        while True:
            await asyncio.sleep(FAULT_PERIOD_S)
            kills.append(f"{chance.choice(('stt', 'llm', 'tts'))}-{chance.randrange(2)}")
            server.kill(kills[-1])

    async def watch() -> None:
        while True:
            await asyncio.sleep(SAMPLE_PERIOD_S)
            if (now := await asyncio.to_thread(sample, server, began_s)) is not None:
                samples.append(now)

    async with asyncio.TaskGroup() as group:
        others = [group.create_task(disturb()), group.create_task(watch())]
        async with asyncio.TaskGroup() as talking:
            for _ in range(SESSIONS):
                talking.create_task(talk())
        for task in others:
            task.cancel()
    await asyncio.sleep(3)
    end = sample(server, began_s)
    assert end is not None
    samples.append(end)
    return found


def by_minute(samples: list[Sample]) -> dict[int, float]:
    """Return the median of the memory in each minute, in MiB."""
    minutes: dict[int, list[float]] = {}
    for each in samples:
        minutes.setdefault(int(each.at_s / 60), []).append(each.resident_mib)
    return {minute: statistics.median(sizes) for minute, sizes in minutes.items()}


def main() -> int:
    """Return 0 when nothing was lost and nothing grew."""
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(f"B14: {SESSIONS} sessions for {arguments.minutes:g} minutes, seed {arguments.seed}")
    with running_up({**ENGINES, **PAIRS}) as server:
        first = sample(server, time.monotonic())
        assert first is not None
        chance = random.Random(arguments.seed)
        tally, samples, kills, refusals = asyncio.run(soak(server, arguments.minutes, chance))
        server.assert_no_traceback()
    warm = [each for each in samples if each.at_s > 60 * arguments.minutes * WARM_UP_SHARE]
    rate, half = slope(warm)
    last = samples[-1]
    more = {
        name: getattr(last, name) - getattr(first, name) for name in ("files", "threads", "tasks")
    }
    print(f"  turns {tally.turns}, lost {tally.lost}, faults {len(tally.faults)}")
    for fault in tally.faults[:5]:
        print(f"    {fault}")
    print(f"  workers killed {len(kills)}, sessions refused for a while {len(refusals)}")
    loads = [each.load for each in samples]
    usual = statistics.median(loads)
    print(f"  load of the machine {min(loads):.1f} to {max(loads):.1f}, median {usual:.1f}")
    print(f"  MiB at each minute: {' '.join(f'{mib:.1f}' for mib in by_minute(samples).values())}")
    print(f"  memory: {rate:+.2f} MiB an hour, 95 % interval up to {rate + half:+.2f}")
    print(f"  after the last session, more than before the first: {more}")
    if arguments.json:
        arguments.json.write_text(json.dumps([each._asdict() for each in samples]))
    grows = rate + half >= MOST_MIB_AN_HOUR and arguments.minutes >= 30
    if arguments.minutes < 30:
        print("  too short to judge the growth of memory")
    left = more["files"] > 4 or more["threads"] > MOST_THREADS or more["tasks"] > 2
    broken = tally.lost or tally.faults or grows or left
    print("FAIL" if broken else "pass")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
