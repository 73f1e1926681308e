"""Three times more sessions than a stage can serve, in virtual time: who is admitted hardly waits.

The rules of admission are real; the stage has ideal slots that cost no time to give.
"""

import asyncio
import random
from collections import deque
from typing import NamedTuple

import pytest
from virtual_talk import VirtualLoop

from antiphon_gateway.admission import Admission
from antiphon_gateway.newcomers import Newcomers

SLOTS, SERVICE_S, TURN_S, TURNS = 4, 0.53, 0.88, 6
CALLERS, APART_S, LENGTH_S = 36, 0.8, 100.0
LIMIT_MS = 20
FIRST_AUDIO_MS = 390
"""Of a turn that waits for nobody."""
LEAST_BUSY = 0.35
"""Refusing nearly everybody is no way to have those served who are in."""


class Stage:
    """Slots, first come first served, and the door before them."""

    def __init__(self) -> None:
        self.admission = Admission(LIMIT_MS)
        self.newcomers = Newcomers()
        self.running = 0
        self._waiting: deque[tuple[float, asyncio.Event]] = deque()

    def enter(self) -> bool:
        """Whether another session is let in."""
        now_s = _now_s()
        waiting_ms = [round((now_s - since_s) * 1000) for since_s, _ in self._waiting]
        now_ms = round(now_s * 1000)
        if self.admission.judge({"llm": waiting_ms}, now_ms):
            self.newcomers.refused(now_ms)
            return False
        if self.newcomers.crowded({"llm": SLOTS - self.running}, now_ms):
            self.newcomers.kept_out(now_ms)
            return False
        self.newcomers.entered(now_ms)
        return True

    async def begin(self) -> float:
        """Wait for a slot; return how long, in milliseconds."""
        since_s = _now_s()
        if self.running < SLOTS:
            self.running += 1
        else:
            free = asyncio.Event()
            self._waiting.append((since_s, free))
            await free.wait()
        waited_ms = (_now_s() - since_s) * 1000
        self.admission.note("llm", round(waited_ms), round(_now_s() * 1000))
        return waited_ms

    def end(self) -> None:
        """Give a slot to the next who waits."""
        if self._waiting:
            self._waiting.popleft()[1].set()
        else:
            self.running -= 1


class Crowd(NamedTuple):
    """What became of all who came."""

    waits_ms: list[float]
    """Without those of the first third, when nobody had been refused."""
    refused: int
    busy: float
    """The part of the slots' time that was used."""


async def crowd(chance: random.Random) -> Crowd:
    """Have callers come one after the other, and come back when refused or done."""
    stage, waits_ms, refused = Stage(), [], 0

    async def turn() -> None:
        waits_ms.append(await stage.begin())
        asyncio.get_running_loop().call_later(SERVICE_S, stage.end)
        await asyncio.sleep(TURN_S + chance.uniform(0.5, 1.5))

    async def caller(number: int) -> None:
        nonlocal refused
        await asyncio.sleep(number * APART_S)
        while _now_s() < LENGTH_S:
            if stage.enter():
                for _ in range(TURNS):
                    await turn()
            else:
                refused += 1
                await asyncio.sleep(chance.uniform(1.0, 2.0))

    async with asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            group.create_task(caller(number))
    busy = len(waits_ms) * SERVICE_S / (SLOTS * _now_s())
    return Crowd(waits_ms[len(waits_ms) // 3 :], refused, busy)


@pytest.mark.parametrize("seed", range(4))
def test_who_is_admitted_is_served_as_usual(seed: int) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        seen = runner.run(crowd(random.Random(seed)))
    p95_ms = sorted(seen.waits_ms)[int(len(seen.waits_ms) * 0.95)]
    assert seen.refused
    assert p95_ms <= 0.2 * FIRST_AUDIO_MS
    assert seen.busy >= LEAST_BUSY


def _now_s() -> float:
    return asyncio.get_running_loop().time()
