"""Pure: figures with their goals; rates with their 95 % intervals."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

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
    """None when nothing was measured."""
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
        return {**self._asdict(), "goal": goal, "passed": self.passed}


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
    n = len(outcomes)
    if not n:
        return Figure(name, None, "%", 0, goal)
    low, high = wilson(sum(outcomes), n)
    return Figure(name, 100 * sum(outcomes) / n, "%", n, goal, (100 * low, 100 * high))


def times(
    name: str, values: Sequence[float], p50: float | None = None, p95: float | None = None
) -> list[Figure]:
    """Return median and 95th percentile of times in milliseconds, with the most they may be."""
    return [
        Figure(
            f"{name}, p{percent}",
            percentile(values, percent),
            "ms",
            len(values),
            None if limit is None else Goal(at_most=limit),
        )
        for percent, limit in ((50, p50), (95, p95))
    ]
