"""Whether a stage is so busy that a new session would harm those that are open. Pure.

What counts is how long urgent jobs wait for a worker: final transcripts, answers, first clauses.
The others wait by design, behind audio that already plays. A stage refuses when the 95th percentile
of the last ten seconds passes the limit, and until it is half of it again, so that it does not
waver.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence

from antiphon_proto.messages import STAGES, Stage

WINDOW_MS = 10_000
MIN_SAMPLES = 5
"""Fewer waits than this within the window begin no refusal."""
_MAX_SAMPLES = 512


class Admission:
    """The recent waits of every stage, and which stages refuse."""

    def __init__(self, limit_ms: int) -> None:
        """`limit_ms` 0: no stage ever refuses."""
        self._limit_ms = limit_ms
        self._waits: dict[Stage, deque[tuple[int, int]]] = {
            stage: deque(maxlen=_MAX_SAMPLES) for stage in STAGES
        }
        self._refusing: set[Stage] = set()

    def note(self, stage: Stage, waited_ms: int, now_ms: int) -> None:
        """An urgent job got a worker after so long."""
        self._waits[stage].append((now_ms, waited_ms))

    def judge(self, waiting_ms: Mapping[Stage, Sequence[int]], now_ms: int) -> frozenset[Stage]:
        """Return the stages that are too busy for another session.

        `waiting_ms`: how long urgent jobs of each stage have waited that still have no worker.
        """
        for stage in STAGES if self._limit_ms else ():
            samples = [*self._recent(stage, now_ms), *waiting_ms.get(stage, ())]
            p95_ms = _p95(samples)
            if stage in self._refusing:
                if p95_ms <= self._limit_ms / 2:
                    self._refusing.discard(stage)
            elif len(samples) >= MIN_SAMPLES and p95_ms > self._limit_ms:
                self._refusing.add(stage)
        return frozenset(self._refusing)

    def _recent(self, stage: Stage, now_ms: int) -> list[int]:
        waits = self._waits[stage]
        while waits and now_ms - waits[0][0] > WINDOW_MS:
            waits.popleft()
        return [waited_ms for _, waited_ms in waits]


def _p95(samples: Sequence[int]) -> int:
    """Return the 95th percentile by nearest rank, 0 of none."""
    return sorted(samples)[math.ceil(0.95 * len(samples)) - 1] if samples else 0
