"""The bars of `make reliability` in small: what they count must hold on any machine."""

import random
import socket
from pathlib import Path

import cancelled
import hostile
import kills
import many
import pytest
import worker_links
import workers_die
from bars import BARS, Run

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
