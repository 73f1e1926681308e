"""When a worker ends itself: seen in a process of its own."""

import json
import subprocess
import sys

SCRIPT = """
import asyncio, contextlib
from antiphon_proto import log
from antiphon_proto.messages import Job, Synthesize
from antiphon_workers.watchdog import Watchdog

JOB = Job(
    job_id="job-1", session_id="session-1", turn_id=3, revision=1, attempt=1,
    reply_to="gateway-0", budget_ms=1_000, command=Synthesize(text="Hello.", voice=""),
)

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
    log.configure("worker tts")
    Watchdog(1_000).expect_end(task, JOB)
    await asyncio.sleep(3)

asyncio.run(main({stubborn}))
"""


def run(stubborn: bool) -> "subprocess.CompletedProcess[str]":
    script = SCRIPT.replace("{stubborn}", str(stubborn))
    return subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )


def test_an_engine_that_goes_on_with_a_cancelled_job_ends_its_worker() -> None:
    ended = run(stubborn=True)
    assert ended.returncode == 3
    line = json.loads(ended.stderr.splitlines()[-1])
    assert line["event"] == "engine does not stop"
    assert (line["job_id"], line["session_id"]) == ("job-1", "session-1")
    assert (line["turn_id"], line["revision"]) == (3, 1)


def test_an_engine_that_stops_does_not() -> None:
    assert run(stubborn=False).returncode == 0
