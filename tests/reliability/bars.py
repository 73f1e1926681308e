"""Pure: what a bar is, what it found, and whether that passes."""

import random
from collections.abc import Awaitable, Callable
from typing import NamedTuple

MOST_OVERSHOOT_P99_MS = 5.0
MOST_OVERSHOOT_MS = 50.0


class Figure(NamedTuple):
    """One number that must not be above its level. What must be there is counted as missing."""

    name: str
    value: float
    level: float
    unit: str = ""
    timed: bool = False
    """It is a duration of this machine, which means nothing while the machine is busy."""

    @property
    def holds(self) -> bool:
        """Whether it is within its level."""
        return self.value <= self.level


class Jitter(NamedTuple):
    """How late this machine woke a waiting process, beside a run."""

    p99_ms: float
    max_ms: float

    @property
    def void(self) -> bool:
        """Whether durations measured meanwhile mean nothing."""
        return self.p99_ms >= MOST_OVERSHOOT_P99_MS or self.max_ms >= MOST_OVERSHOOT_MS


class Run:
    """One run of a bar: its random numbers, and how much of it is done."""

    def __init__(self, seed: int, *, small: bool = False, supervisor: str = "builtin") -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.small = small
        self.supervisor = supervisor
        self.notes: dict[str, float | str] = {}
        """Figures without a level, worth knowing."""

    def size(self, full: int, small: int) -> int:
        """Return how many."""
        return small if self.small else full


class Bar(NamedTuple):
    """One row of the acceptance table."""

    name: str
    title: str
    run: Callable[[Run], Awaitable[list[Figure]]]


class Result(NamedTuple):
    """What a bar found at last."""

    bar: str
    title: str
    seed: int
    figures: list[Figure]
    jitter: Jitter
    tries: int
    took_s: float
    failure: str = ""
    notes: dict[str, float | str] = {}

    @property
    def verdict(self) -> str:
        """`pass`, `FAIL`, or `unfit`: the counts hold, the machine is too busy for the times."""
        broken = [figure for figure in self.figures if not figure.holds]
        if self.failure or any(not figure.timed for figure in broken):
            return "FAIL"
        if self.jitter.void and any(figure.timed for figure in self.figures):
            return "unfit"
        return "FAIL" if broken else "pass"


BARS: dict[str, Bar] = {}


def bar(
    name: str, title: str
) -> Callable[[Callable[[Run], Awaitable[list[Figure]]]], Callable[[Run], Awaitable[list[Figure]]]]:
    """Enter a function as a bar."""

    def enter(
        run: Callable[[Run], Awaitable[list[Figure]]],
    ) -> Callable[[Run], Awaitable[list[Figure]]]:
        BARS[name] = Bar(name, title, run)
        return run

    return enter


def percentile(values: list[float], percent: float) -> float:
    """Return the percentile by nearest rank; infinite when there is nothing to rank."""
    if not values:
        return float("inf")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
