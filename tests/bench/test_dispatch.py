"""The measurement of dispatch: what it counts, and when it says that a figure holds."""

import json
from pathlib import Path

import pytest

from bench import dispatch
from bench.dispatch import Feeding, Growth
from bench.jitter_process import Overshoot

QUIET = Overshoot(0.4, 3.0)
FED = Feeding(
    asked=21_000,
    done=21_000,
    failed=0,
    seconds=10.0,
    wait_p50_ms=0.1,
    wait_p95_ms=1.9,
    overhead_p50_ms=0.8,
    overhead_p95_ms=3.0,
    overshoot=QUIET,
)


@pytest.mark.integration
def test_every_job_of_real_workers_is_counted_once(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    flags = ["--workers", "1", "--workers", "2", "--seconds", "1", "--service-ms", "20"]
    feed = ["--rate", "40", "--feed-workers", "2", "--json", str(file)]
    assert dispatch.main([*flags, *feed]) in (0, 1)  # times are the machine's
    found = json.loads(file.read_text())
    assert [growth["workers"] for growth in found["growth"]] == [1, 2]
    assert all(growth["jobs_a_second"] > 0 for growth in found["growth"])
    assert [growth["failed"] for growth in found["growth"]] == [0, 0]
    assert found["feeding"]["done"] == found["feeding"]["asked"] > 0
    assert found["feeding"]["failed"] == 0


def test_what_grows_in_proportion_and_waits_little_holds() -> None:
    assert dispatch._judge([Growth(1, 9.9, 0, QUIET), Growth(8, 76.0, 0, QUIET)], FED)


@pytest.mark.parametrize(
    "growth",
    [Growth(8, 75.0, 0, QUIET), Growth(8, 79.0, 1, QUIET)],
    ids=["too slow", "a job failed"],
)
def test_what_does_not_grow_with_the_workers_does_not_hold(growth: Growth) -> None:
    assert not dispatch._judge([Growth(1, 9.9, 0, QUIET), growth], None)


@pytest.mark.parametrize(
    "feeding",
    [FED._replace(wait_p95_ms=2.1), FED._replace(done=20_000), FED._replace(failed=1)],
    ids=["waits too long", "not all were done", "a job failed"],
)
def test_a_dispatcher_that_cannot_keep_up_does_not_hold(feeding: Feeding) -> None:
    assert not dispatch._judge([], feeding)


def test_a_busy_machine_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch._judge([], FED._replace(overshoot=Overshoot(5.0, 60.0)))
    assert "too busy" in capsys.readouterr().out
