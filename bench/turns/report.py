"""Pure: the outcome of a run as text and as JSON."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from bench.statistics import percentile
from bench.turns.figures import Figure, Goal, of_all_runs, rate
from bench.turns.judge_interruptions import FALSE_RATE

FALSE_INTERRUPTIONS = ("backchannel", "cough", "noise", "echo")
"""Scenarios in which nobody asks for the turn."""


class ScenarioOutcome(NamedTuple):
    """What one scenario brought."""

    name: str
    figures: Sequence[Figure]
    trials: Sequence[dict[str, object]]
    failures: Sequence[str]
    """Trials that say nothing, and why."""
    skipped: int
    """Trials not begun because time was up."""
    seconds: float


class Outcome(NamedTuple):
    """What one run brought, or several."""

    seeds: Sequence[int]
    scenarios: Sequence[ScenarioOutcome]
    jitter_ms: Sequence[float]

    @property
    def measured(self) -> bool:
        """Whether there is any figure at all."""
        return any(scenario.trials for scenario in self.scenarios)

    @property
    def killed(self) -> Figure | None:
        """How often a reply was stopped by what asks for nothing; None when that was not tried."""
        false = [scenario for scenario in self.scenarios if scenario.name in FALSE_INTERRUPTIONS]
        over = [trial for scenario in false for trial in scenario.trials if trial["over_reply"]]
        name = f"reply killed: {', '.join(scenario.name for scenario in false)}"
        return rate(name, [bool(trial["killed"]) for trial in over], FALSE_RATE) if over else None


def of_all(outcomes: Sequence[Outcome]) -> Outcome:
    """Return several runs of the same scenarios as one; see `figures.of_all_runs`."""
    scenarios = [
        ScenarioOutcome(
            runs[0].name,
            [of_all_runs(figures) for figures in _by_name(runs)],
            [trial for run in runs for trial in run.trials],
            [failure for run in runs for failure in run.failures],
            sum(run.skipped for run in runs),
            sum(run.seconds for run in runs),
        )
        for runs in zip(*(outcome.scenarios for outcome in outcomes), strict=True)
    ]
    return Outcome(
        [seed for outcome in outcomes for seed in outcome.seeds],
        scenarios,
        [overshoot for outcome in outcomes for overshoot in outcome.jitter_ms],
    )


def _by_name(runs: Sequence[ScenarioOutcome]) -> list[list[Figure]]:
    """Return the figures of each name; a run may lack some of them."""
    named: dict[str, list[Figure]] = {}
    for figure in (figure for run in runs for figure in run.figures):
        named.setdefault(figure.name, []).append(figure)
    return list(named.values())


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return everything; times in milliseconds, rates in percent."""
    return {
        "seeds": list(outcome.seeds),
        "killed": outcome.killed and outcome.killed.as_json(),
        "scenarios": {
            scenario.name: {
                "figures": {figure.name: figure.as_json() for figure in scenario.figures},
                "trials": list(scenario.trials),
                "failures": list(scenario.failures),
                "skipped": scenario.skipped,
                "seconds": round(scenario.seconds, 1),
            }
            for scenario in outcome.scenarios
        },
        "jitter_ms": _jitter(outcome),
    }


def as_text(outcome: Outcome) -> str:
    """Return a table: each figure beside its goal."""
    lines = [f"  {'':<46} {'':>10} {'n':>5}  {'95 % interval':<17} {'goal':<10}"]
    for scenario in outcome.scenarios:
        lines += ["", _heading(scenario)]
        lines += [f"    {failure}" for failure in scenario.failures]
        lines += [_row(figure) for figure in scenario.figures]
    jitter = ", ".join(
        f"{name} {value:.1f} ms" for name, value in _jitter(outcome).items() if value
    )
    if outcome.killed:
        lines += ["", _row(outcome.killed)]
    seeds = ", ".join(str(seed) for seed in outcome.seeds)
    lines += ["", f"seed {seeds}; timer overshoot: {jitter or '-'}"]
    return "\n".join(lines)


def _heading(scenario: ScenarioOutcome) -> str:
    counts = f"{len(scenario.trials)} trials in {scenario.seconds:.0f} s"
    failed = f", {len(scenario.failures)} without a result" if scenario.failures else ""
    skipped = f", {scenario.skipped} not begun" if scenario.skipped else ""
    return f"{scenario.name}: {counts}{failed}{skipped}"


def _row(figure: Figure) -> str:
    low_high = figure.interval and f"{figure.interval[0]:.0f} to {figure.interval[1]:.0f} %"
    verdict = {None: "", True: "pass", False: "FAIL"}[figure.passed]
    return (
        f"  {figure.name:<46} {_value(figure.value, figure.unit):>10} {figure.n:>5}  "
        f"{low_high or '':<17} {_goal(figure.goal, figure.unit):<10} {verdict}"
    ).rstrip()


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if math.isinf(value):
        return "never"
    digits = {"": 2, "%": 1}.get(unit, 0)
    return f"{value:.{digits}f} {unit}".rstrip()


def _goal(goal: Goal | None, unit: str) -> str:
    if goal is None:
        return ""
    if goal.at_most is not None:
        return f"<= {goal.at_most:g} {unit}".rstrip()
    return f">= {goal.at_least:g} {unit}".rstrip()


def _jitter(outcome: Outcome) -> dict[str, float | None]:
    overshoots = list(outcome.jitter_ms)
    return {f"p{percent}": percentile(overshoots, percent) for percent in (50, 99, 100)}
