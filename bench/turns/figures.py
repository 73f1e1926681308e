"""Pure: figures with their goals; rates with their 95 % intervals."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.statistics import percentile

_Z = 1.959964
"""Of the normal distribution, for 95 %."""


class Goal(NamedTuple):
    """What a figure should reach."""

    at_most: float | None = None
    at_least: float | None = None

    def met(self, value: float) -> bool:
        """Tell whether a value reaches it."""
        return (self.at_most is None or value <= self.at_most) and (
            self.at_least is None or value >= self.at_least
        )


class Figure(NamedTuple):
    """One figure of a scenario."""

    name: str
    value: float | None
    """None when nothing was measured, infinite when it never came."""
    unit: str
    n: int
    goal: Goal | None = None
    interval: tuple[float, float] | None = None
    """95 % interval, for rates."""

    @property
    def passed(self) -> bool | None:
        """Whether the goal is met; None without a goal or a value."""
        return None if self.goal is None or self.value is None else self.goal.met(self.value)

    def as_json(self) -> dict[str, Any]:
        """Return the figure for programs."""
        goal = self.goal and {k: v for k, v in self.goal._asdict().items() if v is not None}
        value = None if self.value is None or math.isinf(self.value) else self.value
        return {**self._asdict(), "value": value, "goal": goal, "passed": self.passed}


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate (Wilson 1927). Raises ValueError when n is 0."""
    if n < 1:
        raise ValueError("a rate needs at least one trial")
    share = hits / n
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def rate(name: str, outcomes: Sequence[bool], goal: Goal | None = None) -> Figure:
    """Return the share of outcomes that are true, in percent."""
    return _share(name, sum(outcomes), len(outcomes), goal)


def _share(name: str, hits: int, n: int, goal: Goal | None) -> Figure:
    if not n:
        return Figure(name, None, "%", 0, goal)
    low, high = wilson(hits, n)
    return Figure(name, 100 * hits / n, "%", n, goal, (100 * low, 100 * high))


def times(
    name: str, values: Sequence[float], p50: float | None = None, p95: float | None = None
) -> list[Figure]:
    """Return median and 95th percentile of times in milliseconds, with the most they may be.

    What never came is infinitely late.
    """
    return [
        Figure(
            f"{name}, p{percent}",
            _percentile(values, percent),
            "ms",
            len(values),
            None if limit is None else Goal(at_most=limit),
        )
        for percent, limit in ((50, p50), (95, p95))
    ]


def _percentile(values: Sequence[float], percent: float) -> float | None:
    if any(math.isinf(value) for value in values):
        return float(np.percentile(values, percent, method="higher"))
    return percentile(values, percent)


def of_all_runs(figures: Sequence[Figure]) -> Figure:
    """Return one figure of several runs: percentages over all they hold, of others the worst."""
    valued = [(figure.value, figure) for figure in figures if figure.value is not None]
    if not valued:
        return figures[0]
    worst = max(valued, key=lambda pair: pair[0])[1]
    n = sum(figure.n for _, figure in valued)
    if worst.interval is not None:
        hits = sum(round(value * figure.n / 100) for value, figure in valued)
        return _share(worst.name, hits, n, worst.goal)
    if worst.unit == "%":
        return worst._replace(value=sum(value * figure.n for value, figure in valued) / n, n=n)
    return worst
