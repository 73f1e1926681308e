"""The turn-taking measurement against real servers: what it counts and returns, no times."""

import json

import pytest
from system import SIMULATED, running_system

from bench.turns.__main__ import main
from bench.turns.plans import SCENARIOS

SETTINGS = {
    **SIMULATED,
    "simulated.transcript": "Turn on the living room lamp.",
    "simulated.reply": "This is a long reply that goes on and on. " * 12,
    "simulated.tts_real_time_factor": 0.02,
}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, object]]:
    assert main([*arguments, "--json"]) == 0
    scenarios: dict[str, dict[str, object]] = json.loads(capsys.readouterr().out)["scenarios"]
    return scenarios


@pytest.mark.integration
@pytest.mark.models
def test_every_trial_is_counted_and_each_figure_has_its_goal(capsys: pytest.CaptureFixture[str]):
    names = ["question", "barge-in"]
    flags = [flag for name in names for flag in ("--scenario", name)]
    with running_system(SETTINGS) as server:
        scenarios = run(capsys, "--url", server.realtime_url, "--turns", "1", *flags)
        server.assert_no_traceback()
    assert list(scenarios) == [name for name in SCENARIOS if name in names]
    for scenario in scenarios.values():
        assert len(scenario["trials"]) == 1, scenario["failures"]
        assert scenario["failures"] == []
        assert scenario["skipped"] == 0
    question = scenarios["question"]["figures"]
    assert question["answered"]["value"] == 100
    assert question["gap, p50"]["goal"] == {"at_most": 350}
    barge_in = scenarios["barge-in"]["figures"]
    assert barge_in["stopped"]["n"] == 1
    assert barge_in["next turn answered"]["value"] == 100
    assert barge_in["heard history exact"]["n"] == 1


def test_a_server_that_is_not_there_leaves_nothing_to_measure(
    unused_tcp_port: int, capsys: pytest.CaptureFixture[str]
):
    url = f"ws://127.0.0.1:{unused_tcp_port}"
    assert main(["--url", url, "--scenario", "question", "--turns", "2"]) == 2
    shown = capsys.readouterr().out
    assert shown.count("make run") == 1
    assert "question: 0 trials" in shown
    assert "1 without a result, 1 not begun" in shown


def test_an_unknown_scenario_is_refused_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
):
    with pytest.raises(SystemExit):
        main(["--scenario", "quiz"])
    assert "hesitation" in capsys.readouterr().err
