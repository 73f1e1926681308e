"""The bars of `make reliability` in small: what they count must hold on any machine."""

import random

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
