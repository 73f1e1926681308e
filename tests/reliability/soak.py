"""`make soak`, B14: turns for an hour, a fault every 30 s; what the gateway holds must not grow."""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parents[1])]

from servers import ENGINES, GATEWAY, Up, files, resident_bytes, running_up  # noqa: E402
from talk import Tally  # noqa: E402
from workers_die import PAIRS  # noqa: E402

SESSIONS, FAULT_PERIOD_S, SAMPLE_PERIOD_S = 20, 30.0, 5.0
WARM_UP_SHARE = 1 / 6
MOST_MIB_AN_HOUR = 2.0
MIB = 1024 * 1024


class Sample(NamedTuple):
    """What the gateway held at one moment."""

    at_s: float
    resident_mib: float
    files: int
    threads: int
    tasks: int


def sample(server: Up, began_s: float) -> Sample:
    """Return what the gateway holds now."""
    pid = server.pid(GATEWAY)
    answer = server.get("/metrics")
    assert answer is not None
    tasks = [
        line.split()[1]
        for line in answer.body.decode().splitlines()
        if line.startswith("antiphon_event_loop_tasks ")
    ]
    return Sample(
        time.monotonic() - began_s,
        resident_bytes(pid) / MIB,
        files(pid),
        len(list(Path(f"/proc/{pid}/task").iterdir())),
        int(float(tasks[0])),
    )


def slope(samples: list[Sample]) -> tuple[float, float]:
    """Return the growth of memory in MiB an hour, and half of its 95 % interval."""
    hours = [each.at_s / 3600 for each in samples]
    sizes = [each.resident_mib for each in samples]
    rate, start = statistics.linear_regression(hours, sizes)
    rest = [size - start - rate * hour for hour, size in zip(hours, sizes, strict=True)]
    spread = sum((hour - statistics.fmean(hours)) ** 2 for hour in hours)
    error = (sum(value * value for value in rest) / max(1, len(rest) - 2) / spread) ** 0.5
    return rate, 1.96 * error


async def soak(server: Up, minutes: float, chance: random.Random) -> tuple[Tally, list[Sample]]:
    """Hold turns until time is up; return what was wrong with them and what the gateway held."""
    tally, samples, began_s = Tally(), [], time.monotonic()
    end_s = began_s + 60 * minutes

    async def talk() -> None:
        while time.monotonic() < end_s:
            await tally.hold(server.realtime_url, 3)

    async def disturb() -> None:
        while True:
            await asyncio.sleep(FAULT_PERIOD_S)
            server.kill(f"{chance.choice(('stt', 'llm', 'tts'))}-{chance.randrange(2)}")

    async def watch() -> None:
        while True:
            await asyncio.sleep(SAMPLE_PERIOD_S)
            samples.append(await asyncio.to_thread(sample, server, began_s))

    async with asyncio.TaskGroup() as group:
        others = [group.create_task(disturb()), group.create_task(watch())]
        async with asyncio.TaskGroup() as talking:
            for _ in range(SESSIONS):
                talking.create_task(talk())
        for task in others:
            task.cancel()
    await asyncio.sleep(3)
    samples.append(sample(server, began_s))
    return tally, samples


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
        chance = random.Random(arguments.seed)
        tally, samples = asyncio.run(soak(server, arguments.minutes, chance))
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
    print(f"  memory: {rate:+.2f} MiB an hour, 95 % interval up to {rate + half:+.2f}")
    print(f"  after the last session, more than before the first: {more}")
    if arguments.json:
        arguments.json.write_text(json.dumps([each._asdict() for each in samples]))
    grows = rate + half >= MOST_MIB_AN_HOUR and arguments.minutes >= 30
    if arguments.minutes < 30:
        print("  too short to judge the growth of memory")
    broken = tally.lost or tally.faults or grows or more["files"] > 4 or more["tasks"] > 2
    print("FAIL" if broken else "pass")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
