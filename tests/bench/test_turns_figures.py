"""Figures and report of the turn-taking measurement, on fixed inputs."""

import json

import pytest

from bench.turns.figures import Figure, Goal, rate, wilson
from bench.turns.report import Outcome, ScenarioOutcome, as_json, as_text


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
    outcome = Outcome(7, [scenario], [0.1, 0.2])
    text = as_text(outcome)
    assert "question: 1 trials in 9 s, 1 without a result, 2 not begun" in text
    [row] = [line for line in text.splitlines() if "cut-in" in line]
    assert " ".join(row.split()) == "cut-in 50.0 % 2 9 to 91 % <= 5 % FAIL"
    document = json.loads(json.dumps(as_json(outcome), allow_nan=False))
    figure = document["scenarios"]["question"]["figures"]["cut-in"]
    assert (figure["value"], figure["goal"], figure["passed"]) == (50.0, {"at_most": 5}, False)
    assert not Outcome(7, [], []).measured
