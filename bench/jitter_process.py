"""`python -m bench.jitter_process`: how late this machine wakes a process, until told to stop.

A process of its own: it measures the machine, not the event loop of a load generator.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

from bench.jitter import SLEEP_S
from bench.statistics import percentile


class Overshoot(NamedTuple):
    """By how much sleeps of 1 ms took longer, in milliseconds."""

    p99_ms: float = 0.0
    max_ms: float = 0.0


class Probe:
    """The result, once the block of `probing` has ended."""

    overshoot = Overshoot()


@contextlib.asynccontextmanager
async def probing() -> AsyncIterator[Probe]:
    """Measure during the block."""
    probe = Probe()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.jitter_process",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    await process.stdout.readline()
    try:
        yield probe
    finally:
        output, _ = await process.communicate(b"")
        probe.overshoot = Overshoot(**json.loads(output))


def main() -> None:
    """Measure until standard input ends."""
    ended = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    print("measuring", flush=True)
    overshoots_ms: list[float] = []
    while not ended.is_set():
        began_s = time.perf_counter()
        time.sleep(SLEEP_S)  # its overshoot is what is measured; no event loop here
        overshoots_ms.append((time.perf_counter() - began_s - SLEEP_S) * 1000)
    p99_ms = percentile(overshoots_ms, 99) or 0.0
    print(json.dumps({"p99_ms": p99_ms, "max_ms": max(overshoots_ms, default=0.0)}))


if __name__ == "__main__":
    main()
