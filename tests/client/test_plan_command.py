"""`antiphon plan`, as a person runs it: simulated engines are measured, an answer is printed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from antiphon.plan_view import picture
from antiphon_proto.planning import Figures, Machines, Outcome, Plan, Question

ENGINES = {
    stage: {
        "engine": "e",
        "model": "m",
        "slots": 2,
        "points": [{"jobs": 1, "first_ms": first_ms, "step_ms": step_ms}],
    }
    for stage, first_ms, step_ms in (("stt", 60, 0), ("llm", 60, 5), ("tts", 60, 900))
}
FIGURES = {"engines": ENGINES, "cores": 4}


def antiphon(directory: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "antiphon", "plan", *words]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=50)


@pytest.fixture
def figures(tmp_path: Path) -> str:
    (tmp_path / "figures.json").write_text(json.dumps(FIGURES))
    return "figures.json"


@pytest.mark.thorough
def test_a_fleet_is_asked_for_as_json(tmp_path: Path, figures: str) -> None:
    words = ("--gpus", "3", "--hosts", "100", "--conversations", "300", "--json")
    ended = antiphon(tmp_path, "--from", figures, "--p95-ms", "700", *words)
    assert ended.returncode == 0, ended.stderr
    answer = msgspec.json.decode(ended.stdout, type=Plan)
    assert answer.machines.workers == {"stt": 1, "llm": 1, "tts": 1}
    assert answer.machines.pools == 100
    assert answer.capacity % 100 == 0
    assert answer.asked
    assert answer.asked.conversations == 300


def test_the_picture_names_capacity_limit_and_what_the_next_one_buys() -> None:
    machines = Machines(workers={"stt": 1, "llm": 1, "tts": 2}, cores=4, pools=10)
    question = Question(
        figures=msgspec.convert(FIGURES, Figures), machines=machines, p95_ms=900, conversations=95
    )
    outcome = Outcome(
        conversations=80,
        turns=1_000,
        p50_ms=520,
        p95_ms=880,
        gap_share=0.04,
        busy={"stt": 0.1, "llm": 0.2, "tts": 0.71, "gateway": 0.05, "cores": 0.3},
        gateways=1,
    )
    answer = Plan(
        machines=machines,
        p95_ms=900,
        capacity=80,
        at_capacity=outcome,
        limit="tts",
        doubled={"stt": 80, "llm": 80, "tts": 170, "gateway": 80, "cores": 80},
        one_more={"stt": 80, "llm": 80, "tts": 120},
        asked=msgspec.structs.replace(outcome, conversations=100, p95_ms=1_200),
        pools_needed=12,
    )
    lines = picture(question, answer).splitlines()
    assert (
        "80 conversations at p95 < 900 ms and gaps in at most 5 % of the answers "
        "(p50 520 ms, p95 880 ms, 4 % of the answers with a gap)" in lines
    )
    assert "tts           71 %             170               120   <- the limit" in lines
    assert "the next GPU or process in each pool, as tts worker: 80 -> 120 conversations" in lines
    assert lines[-2].startswith("100 conversations are too many: p50 520 ms, p95 1200 ms")
    assert lines[-1] == "they need 12 such pools"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--from", "none.json"), "cannot read none.json: No such file or directory"),
        (("--from", "wrong.json"), "make it: antiphon plan --measure wrong.json"),
        (("--from", "figures.json", "--gpus", "2"), "one for each stage"),
        (("--from", "figures.json", "--hosts", "5", "--pool-hosts", "2"), "no pools of 2"),
        (("--from", "figures.json", "--gpus", "300"), "a dispatcher knows 256"),
        (("--from", "figures.json", "--topology", "none.toml"), "cannot read none.toml"),
        (("--from", "figures.json", "--p95-ms", "0"), "0 is no time in milliseconds"),
        (("--from", "figures.json", "--gaps", "101"), "101 is no percentage"),
        (("--set", "tts.engine=none"), "there is no tts engine none"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_the_reason(
    tmp_path: Path, figures: str, words: tuple[str, ...], reason: str
) -> None:
    (tmp_path / "wrong.json").write_text('{"cores": 2, "engine": {}}')
    ended = antiphon(tmp_path, *words)
    assert ended.returncode == 2
    assert reason in " ".join(ended.stderr.split())
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Let programs be interrupted even where the tests are run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path, figures: str) -> None:
    command = [sys.executable, "-m", "antiphon", "plan", "--from", figures]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr
        assert "simulating" in process.stderr.readline()
        # As a terminal does: every process of the group is told.
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said
