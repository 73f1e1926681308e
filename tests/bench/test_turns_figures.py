"""Figures and report of the turn-taking measurement, on fixed inputs."""

import json
import math

import pytest

from bench.turns.figures import Figure, Goal, of_all_runs, rate, times, wilson
from bench.turns.report import Outcome, ScenarioOutcome, as_json, as_text, of_all


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (1, 60, 0.003, 0.0886)],
)
def test_the_interval_of_a_rate_is_wilsons(hits: int, n: int, low: float, high: float):
    assert wilson(hits, n) == pytest.approx((low, high), abs=1e-3)


def test_a_rate_of_nothing_has_no_value():
    assert rate("x", []).value is None
    with pytest.raises(ValueError, match="at least one"):
        wilson(0, 0)


def test_a_goal_is_met_or_missed():
    assert rate("x", [True, False], Goal(at_most=50)).passed
    assert rate("x", [True, False], Goal(at_least=95)).passed is False
    assert Figure("x", 5.0, "ms", 1).passed is None


def test_the_table_puts_each_figure_beside_its_goal():
    figures = [rate("cut-in", [True, False], Goal(at_most=5)), Figure("gap", None, "ms", 0)]
    scenario = ScenarioOutcome("question", figures, [{"name": "a"}], ["b.wav: silent"], 2, 9.0)
    outcome = Outcome([7], [scenario], [0.1, 0.2])
    text = as_text(outcome)
    assert "question: 1 trials in 9 s, 1 without a result, 2 not begun" in text
    [row] = [line for line in text.splitlines() if "cut-in" in line]
    assert " ".join(row.split()) == "cut-in 50.0 % 2 9 to 91 % <= 5 % FAIL"
    document = json.loads(json.dumps(as_json(outcome), allow_nan=False))
    figure = document["scenarios"]["question"]["figures"]["cut-in"]
    assert (figure["value"], figure["goal"], figure["passed"]) == (50.0, {"at_most": 5}, False)
    assert document["killed"] is None
    assert not Outcome([7], [], []).measured


def test_what_never_came_is_the_longest_wait():
    half, most = times("silence", [100.0, 200.0, 300.0, math.inf], p95=250.0)
    assert (half.value, most.value, most.passed) == (300.0, math.inf, False)
    assert (most.as_json()["value"], most.as_json()["passed"]) == (None, False)
    scenario = ScenarioOutcome("barge-in", [most], [], [], 0, 1.0)
    [row] = [line for line in as_text(Outcome([7], [scenario], [])).splitlines() if "p95" in line]
    assert " ".join(row.split()) == "silence, p95 never 4 <= 250 ms FAIL"
    rare = times("silence", [100.0] * 99 + [math.inf])[1]
    assert rare.value == 100.0


def test_several_runs_give_rates_over_all_and_the_worst_times():
    rates = [rate("cut-in", [True, False]), rate("cut-in", []), rate("cut-in", [False] * 8)]
    assert of_all_runs(rates) == rate("cut-in", [True] + [False] * 9)
    assert of_all_runs([Figure("wer", 10.0, "%", 1), Figure("wer", 20.0, "%", 3)]).value == 17.5
    slow = Figure("gap", 700.0, "ms", 5, Goal(at_most=600))
    assert of_all_runs([slow._replace(value=500.0), slow, slow._replace(value=None)]) == slow
    nothing = slow._replace(value=None)
    assert of_all_runs([nothing, nothing]) == nothing


def test_replies_killed_by_what_asks_for_nothing_are_counted_over_scenarios_and_runs():
    over, alone = ({"name": "a", "over_reply": it, "killed": False} for it in (True, False))
    killed = {**over, "killed": True}
    runs = [
        Outcome(
            [seed],
            [
                ScenarioOutcome("barge-in", [], [killed], [], 0, 1.0),
                ScenarioOutcome("cough", [], trials, [], 0, 1.0),
                ScenarioOutcome("echo", [], [over], [], 1, 1.0),
            ],
            [],
        )
        for seed, trials in ((3, [over, alone]), (4, [killed, over]))
    ]
    assert runs[0].killed == rate("reply killed: cough, echo", [False] * 2, Goal(at_most=5))
    both = of_all(runs)
    assert both.killed == rate("reply killed: cough, echo", [True] + [False] * 4, Goal(at_most=5))
    assert (both.seeds, both.scenarios[2].skipped) == ([3, 4], 2)
    assert "reply killed: cough, echo" in as_text(both)
    assert as_json(both)["killed"]["passed"] is False
