"""When a worker ends itself: seen in a process of its own."""

import subprocess
import sys

SCRIPT = """
import asyncio, contextlib
from antiphon_workers.watchdog import Watchdog

async def job(stubborn):
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        if not stubborn:
            return

async def main(stubborn):
    task = asyncio.ensure_future(job(stubborn))
    await asyncio.sleep(0)
    task.cancel()
    Watchdog(1_000).expect_end(task)
    await asyncio.sleep(3)

asyncio.run(main({stubborn}))
"""


def run(stubborn: bool) -> int:
    script = SCRIPT.replace("{stubborn}", str(stubborn))
    return subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True
    ).returncode


def test_an_engine_that_goes_on_with_a_cancelled_job_ends_its_worker() -> None:
    assert run(stubborn=True) == 3


def test_an_engine_that_stops_does_not() -> None:
    assert run(stubborn=False) == 0
