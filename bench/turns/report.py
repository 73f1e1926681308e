"""Pure: the outcome of a run as text and as JSON."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from bench.statistics import percentile
from bench.turns.figures import Figure, Goal


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
    """What a run brought."""

    seed: int
    scenarios: Sequence[ScenarioOutcome]
    jitter_ms: Sequence[float]

    @property
    def measured(self) -> bool:
        """Whether there is any figure at all."""
        return any(scenario.trials for scenario in self.scenarios)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return everything; times in milliseconds, rates in percent."""
    return {
        "seed": outcome.seed,
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
    lines = [f"  {'':<42} {'':>10} {'n':>5}  {'95 % interval':<17} {'goal':<10}"]
    for scenario in outcome.scenarios:
        lines += ["", _heading(scenario)]
        lines += [f"    {failure}" for failure in scenario.failures]
        lines += [_row(figure) for figure in scenario.figures]
    jitter = ", ".join(
        f"{name} {value:.1f} ms" for name, value in _jitter(outcome).items() if value
    )
    lines += ["", f"seed {outcome.seed}; timer overshoot: {jitter or '-'}"]
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
        f"  {figure.name:<42} {_value(figure.value, figure.unit):>10} {figure.n:>5}  "
        f"{low_high or '':<17} {_goal(figure.goal, figure.unit):<10} {verdict}"
    ).rstrip()


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
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
