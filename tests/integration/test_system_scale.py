"""`antiphon scale` under talk, real processes, both supervisors: nothing is lost or repeated."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import AT_ONCE, ENGINES, GATEWAY, Up, running_up
from system_client import connected
from talk import Tally

from antiphon_proto.messages import STAGES

pytestmark = [pytest.mark.integration, pytest.mark.thorough, pytest.mark.timeout(240)]

SLOW = {
    **ENGINES,
    **AT_ONCE,
    "simulated.stt_ms": 200,
    "simulated.llm_token_ms": 20,
    "simulated.tts_real_time_factor": 0.15,
}
SESSIONS = 4
SIZES = (3, 1)
"""Workers of each stage, one after the other."""
MOST_TRIES = 4
"""To tell a worker to go while it holds a job; with four sessions it mostly does."""


@pytest.fixture(params=["builtin", "supervisord"])
def server(request: pytest.FixtureRequest) -> Iterator[Up]:
    with running_up(SLOW, request.param) as running:
        yield running


async def scale(server: Up, *words: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it printed."""
    runtime = f"bus.runtime_dir={server.settings['bus.runtime_dir']}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "antiphon", "scale", *words, "--set", runtime),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def until(server: Up, condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(server.wait_for, condition, 60.0)


async def talk(server: Up, tally: Tally, over: asyncio.Event) -> None:
    """Hold sessions of two turns, one after the other, and check each of their samples."""
    while not over.is_set():
        await tally.hold(server.realtime_url, 2)


def held_when_told(server: Up) -> list[int]:
    """Return how many jobs the second voice held each time it was told to go."""
    events = server.events("tts-1")
    return [event["running"] for event in events if event["event"] == "worker draining"]


def workers(server: Up) -> dict[str, dict[str, Any]]:
    answer = server.get("/v1/status")
    assert answer is not None
    stages = answer.json()["stages"].values()
    return {worker["worker_id"]: worker for stage in stages for worker in stage["workers"]}


async def test_workers_come_and_go_under_talk_and_no_word_is_lost_or_repeated(server: Up) -> None:
    tally, over = Tally(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(SESSIONS):
            group.create_task(talk(server, tally, over))
        for size in SIZES:
            turns = tally.turns
            code, output = await scale(server, *(f"{stage}={size}" for stage in STAGES))
            assert code == 0, output
            names = {f"{stage}-{index}" for stage in STAGES for index in range(size)}
            assert workers(server).keys() == names
            assert server.programs().keys() == {GATEWAY, *names}
            # Each size is talked to.
            await until(server, lambda turns=turns: tally.turns >= turns + SESSIONS)
        over.set()
    assert tally.turns >= SESSIONS * len(SIZES)
    assert (tally.lost, tally.faults) == (0, [])
    assert "traceback" not in server.logs().lower()
    assert "was started again" not in server.logs()


async def test_a_worker_that_goes_finishes_what_it_holds(server: Up) -> None:
    tally, over = Tally(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(SESSIONS):
            group.create_task(talk(server, tally, over))
        for _ in range(MOST_TRIES):
            code, output = await scale(server, "tts=2")
            assert code == 0, output
            assert "tts-1 has joined" in output
            await until(server, lambda: bool(workers(server)["tts-1"]["outstanding"]))
            code, output = await scale(server, "tts=1")
            assert code == 0, output
            assert "tts-1 has left" in output
            if any(held_when_told(server)):
                break
        over.set()
    assert any(held_when_told(server))
    assert (tally.lost, tally.faults) == (0, [])
    # It said goodbye with nothing left to be made again.
    assert not [event for event in server.events(GATEWAY) if event["event"] == "worker lost"]


async def test_what_cannot_be_scaled_is_refused_and_nothing_changes(server: Up) -> None:
    before = server.programs()
    for words, reason in (
        (("stt=0",), "at least one worker of each stage"),
        (("sst=2",), "stages are stt, llm, tts"),
        (("stt=many",), "is not STAGE=N"),
        (("stt=300",), "302 workers are asked for, of which the dispatcher knows 256"),
    ):
        code, output = await scale(server, *words)
        assert code == 2
        assert reason in output
    assert server.programs() == before


async def test_a_server_that_does_not_run_is_named(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "antiphon", "scale", "stt=2"),
        *("--set", f"bus.runtime_dir={tmp_path}"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert f"no server runs in {tmp_path}; start one: antiphon up" in said.decode()


async def test_top_shows_the_workers_and_sessions_of_the_server(server: Up) -> None:
    runtime = f"bus.runtime_dir={server.settings['bus.runtime_dir']}"
    async with connected(server.realtime_url, extended=True) as client:
        await client.push_to_talk()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "antiphon", "top", "--once", "--set", runtime),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    shown = [line.split() for line in output.decode().splitlines()]
    first = {words[0]: words for words in shown if words}
    assert {f"{stage}-0" for stage in STAGES} <= first.keys()
    assert first["stt-0"][1:3] == ["here", "simulated"]
    assert "1 session, 0 in turn" in output.decode()
    assert [words[-1] for words in shown if words and words[0].startswith("sess_")] == ["gateway-0"]
