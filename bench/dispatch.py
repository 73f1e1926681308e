"""`python -m bench.dispatch`: does throughput grow with workers, and what does dispatch cost?

Workers are processes with the simulated transcriber, which takes a fixed time; dispatcher and load
are this process. See README.md.
"""

import argparse
import asyncio
import json
import logging
import random
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

from antiphon_gateway.dispatch.embedded import EmbeddedDispatcher
from antiphon_proto.errors import StartupError
from bench.dispatch_load import Load
from bench.jitter_process import Overshoot, probing
from bench.statistics import percentile
from bench.worker_pool import pool

WARM_S = 1.0
SPIN_S = 0.002
"""An event loop wakes up to a millisecond late, so it stays awake before a job is due."""
SHARE_LEVEL = 0.95
RATE_LEVEL = 0.99
WAIT_LEVEL_MS = 2.0
MOST_OVERSHOOT_P99_MS = 5.0
HEAD = f"{'workers':>7} {'jobs/s':>8} {'of linear':>9} {'failed':>6} {'timer p99 / max':>16}"


class Growth(NamedTuple):
    """So many workers of one slot, which always have something to do."""

    workers: int
    jobs_a_second: float
    failed: int
    overshoot: Overshoot


class Feeding(NamedTuple):
    """Jobs that arrive by chance, fewer than the workers could do."""

    asked: int
    done: int
    failed: int
    seconds: float
    wait_p50_ms: float
    wait_p95_ms: float
    overhead_p50_ms: float
    overhead_p95_ms: float
    overshoot: Overshoot


def _pool(
    workers: int, slots: int, service_ms: int, load: Load
) -> AbstractAsyncContextManager[EmbeddedDispatcher]:
    settings = (
        "stt.engine=simulated",
        "stt.turn_end_model=",
        f"stt.slots={slots}",
        f"simulated.stt_ms={service_ms}",
    )
    return pool("stt", workers, settings, load)


async def _grow(workers: int, service_ms: int, seconds: float) -> Growth:
    """Keep twice as many jobs going as there are workers, and count."""
    load = Load(payload_bytes=1_000)
    async with _pool(workers, 1, service_ms, load) as dispatcher, probing() as probe:
        begin_s = time.perf_counter() + WARM_S
        end_s, warm = begin_s + seconds, True
        while (now_s := time.perf_counter()) < end_s:
            if warm and now_s >= begin_s:
                load.forget()
                begin_s, end_s, warm = now_s, now_s + seconds, False
            while load.outstanding < 2 * workers:
                dispatcher.submit(load.request(time.perf_counter()), load.deliver)
            load.ended_one.clear()
            await load.ended_one.wait()
        passed_s, done, failed = time.perf_counter() - begin_s, load.done, load.failed
    return Growth(workers, done / passed_s, failed, probe.overshoot)


async def _feed(
    rate: float, workers: int, slots: int, service_ms: int, seconds: float, seed: int
) -> Feeding:
    """Submit jobs at the moments of a Poisson process, whether or not earlier ones are done."""
    load, chance = Load(payload_bytes=1_000), random.Random(seed)
    async with _pool(workers, slots, service_ms, load) as dispatcher, probing() as probe:
        begin_s = time.perf_counter()
        due_s, asked, warm = begin_s, 0, True
        while due_s < begin_s + WARM_S + seconds:
            if warm and due_s >= begin_s + WARM_S:
                load.forget()
                asked, warm = 0, False
            await _until(due_s)
            dispatcher.submit(load.request(due_s), load.deliver)
            asked += 1
            due_s += chance.expovariate(rate)
            await asyncio.sleep(0)
        while load.outstanding:
            load.ended_one.clear()
            await load.ended_one.wait()
    return Feeding(
        asked=asked,
        done=min(load.done, asked),
        failed=load.failed,
        seconds=seconds,
        wait_p50_ms=percentile(load.waits_ms, 50) or 0.0,
        wait_p95_ms=percentile(load.waits_ms, 95) or 0.0,
        overhead_p50_ms=percentile(load.overheads_ms, 50) or 0.0,
        overhead_p95_ms=percentile(load.overheads_ms, 95) or 0.0,
        overshoot=probe.overshoot,
    )


async def _until(due_s: float) -> None:
    """Wait for a moment of `time.perf_counter`, and let other tasks run meanwhile."""
    left_s = due_s - time.perf_counter()
    if left_s > SPIN_S:
        await asyncio.sleep(left_s - SPIN_S)
    while time.perf_counter() < due_s:  # noqa: ASYNC110 - a timer would be too late
        await asyncio.sleep(0)


def _share(growth: Growth, first: Growth) -> float:
    """Return its throughput as a share of what the first step promises for its workers."""
    return growth.jobs_a_second / growth.workers / (first.jobs_a_second / first.workers)


def _show_growth(growth: Growth, first: Growth) -> None:
    print(
        f"{growth.workers:7} {growth.jobs_a_second:8.1f} {_share(growth, first):9.3f} "
        f"{growth.failed:6} {_timer(growth.overshoot):>16}",
        flush=True,
    )


def _show_feeding(feeding: Feeding) -> None:
    print(
        f"fed {feeding.asked / feeding.seconds:.0f} jobs/s, {feeding.done} of {feeding.asked} "
        f"done, {feeding.failed} failed\n"
        f"due to sent: p50 {feeding.wait_p50_ms:.2f} ms, p95 {feeding.wait_p95_ms:.2f} ms\n"
        f"due to end, less the worker's time: p50 {feeding.overhead_p50_ms:.2f} ms, "
        f"p95 {feeding.overhead_p95_ms:.2f} ms\n"
        f"timer p99 / max {_timer(feeding.overshoot)}"
    )


def _judge(growths: Sequence[Growth], feeding: Feeding | None) -> bool:
    """Return whether all of it holds, and say so; say too when the machine was busy."""
    holds = all(
        _share(growth, growths[0]) >= SHARE_LEVEL and not growth.failed for growth in growths
    )
    overshoots = [growth.overshoot for growth in growths]
    if feeding:
        overshoots.append(feeding.overshoot)
        holds &= feeding.wait_p95_ms <= WAIT_LEVEL_MS and not feeding.failed
        holds &= feeding.done >= RATE_LEVEL * feeding.asked
    print("holds" if holds else "does not hold")
    if any(overshoot.p99_ms >= MOST_OVERSHOOT_P99_MS for overshoot in overshoots):
        print("the machine was too busy for the times to mean much: see the timer")
    return holds


def _timer(overshoot: Overshoot) -> str:
    return f"{overshoot.p99_ms:.1f} / {overshoot.max_ms:.0f} ms"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when every figure holds, 1 when one does not, 2 when workers do not start."""
    parser = argparse.ArgumentParser(prog="python -m bench.dispatch", description=__doc__)
    parser.add_argument("--workers", type=int, action="append", help="a step; may be repeated")
    parser.add_argument("--rate", type=float, default=2_100.0, help="jobs a second; 0: do not feed")
    parser.add_argument("--no-growth", action="store_true", help="only feed")
    parser.add_argument("--service-ms", type=int, default=100, help="of a job, when growing")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each step")
    parser.add_argument("--feed-workers", type=int, default=4)
    parser.add_argument("--feed-slots", type=int, default=32)
    parser.add_argument("--feed-service-ms", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    steps = [] if options.no_growth else options.workers or [1, 2, 4, 8]
    feeding = None
    logging.disable(logging.WARNING)  # that workers go at the end of a step
    try:
        growths: list[Growth] = []
        if steps:
            print(HEAD)
        for step in steps:
            growths.append(asyncio.run(_grow(step, options.service_ms, options.seconds)))
            _show_growth(growths[-1], growths[0])
        if options.rate:
            feeding = asyncio.run(
                _feed(
                    options.rate,
                    options.feed_workers,
                    options.feed_slots,
                    options.feed_service_ms,
                    options.seconds,
                    options.seed,
                )
            )
            _show_feeding(feeding)
    except StartupError as exc:
        print(exc, file=sys.stderr)
        return 2
    finally:
        logging.disable(logging.NOTSET)
    holds = _judge(growths, feeding)
    if options.json:
        found = {"growth": [g._asdict() for g in growths]}
        options.json.write_text(
            json.dumps({**found, "feeding": feeding and feeding._asdict()}, indent=1)
        )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
