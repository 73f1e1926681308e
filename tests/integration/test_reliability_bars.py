"""The bars of `make reliability` in small: what they count must hold on any machine."""

import json
import random
import socket
from pathlib import Path
from typing import cast

import aiohttp
import cancelled
import hostile
import kills
import many
import pytest
import restarts
import worker_links
import workers_die
from bars import BARS, Run
from resuming_client import ResumingClient
from servers import log_time_s
from system import GATEWAY, System

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(120)]
ENTERED = (cancelled, hostile, kills, many, worker_links, workers_die)
IN_SMALL = ("B1", "B3", "B7", "B9", "B10", "B11", "B15", "B16", "B20w")
"""B2, B4, B6 and B8 are in test_system_faults, test_dispatch_faults and test_system_bad_input."""


@pytest.mark.parametrize("name", IN_SMALL)
async def test_what_the_bar_counts_holds(name: str) -> None:
    run = Run(random.randrange(2**31), small=True)
    figures = await BARS[name].run(run)
    broken = [figure for figure in figures if not figure.timed and not figure.holds]
    assert broken == [], f"seed {run.seed}: {run.notes}"


def test_a_socket_that_takes_no_connection_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "deaf"
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(path))
        assert not hostile.poke(path, random.Random(1), tmp_path / "canary")


def test_a_seed_sends_a_socket_the_same_again(tmp_path: Path) -> None:
    path = tmp_path / "ear"
    with socket.socket(socket.AF_UNIX) as ear:
        ear.bind(str(path))
        ear.listen()

        def heard(seed: int) -> bytes:
            assert hostile.poke(path, random.Random(seed), tmp_path / "canary")
            line, _ = ear.accept()
            with line, line.makefile("rb") as stream:
                return stream.read()

        assert all(heard(seed) == heard(seed) for seed in range(20))


def test_a_kill_that_nobody_noticed_and_a_job_without_a_result_are_counted(tmp_path: Path) -> None:
    server = System(tmp_path)
    lost = {"event": "worker lost", "worker": "tts-0", "reissued": 2}
    again = {"event": "first result of a job made again", "job_id": "a", "attempt": 2}
    for name, line in ((GATEWAY, lost), ("tts-1", again)):
        text = json.dumps({"time": "2026-01-01T00:00:01.250Z", **line})
        server.log_file(name).write_text(f"{text}\n")
    killed_s = log_time_s({"time": "2026-01-01T00:00:01.000Z"})
    found = workers_die.recovered_so_far(server, [("tts-0", killed_s), ("llm-1", killed_s)])
    assert (found.unnoticed, found.silent) == (1, 1)
    assert found.after_s == {"stt": [], "llm": [], "tts": [0.25]}


def test_a_gap_is_how_long_a_reply_had_been_played_when_it_went_on() -> None:
    client = ResumingClient(cast("aiohttp.ClientSession", None), "")
    client.audio = {1: [(0, bytes(48_000)), (24_000, bytes(48_000))], 2: [(0, bytes(960))]}
    client.events = [
        {"type": "audio", "stream": stream, "at_s": at_s}
        for stream, at_s in ((1, 10.0), (1, 12.5), (2, 20.0))
    ]
    assert restarts.heard_gaps_ms(client) == [0.0, 1_500.0, 0.0]
