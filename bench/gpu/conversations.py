"""Conversations that ask workers for what people who talk would, and how many are carried."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from antiphon_proto.errors import JobFailed
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ
from bench.gpu.client import Client
from bench.gpu.search import Search, turns_s
from bench.statistics import percentile

GRACE_S = 10.0
"""How long after the last turn answers are waited for."""
PARTIAL_S = 0.4
"""Speech between partial transcripts, as `turn_taking.partial_interval_ms`."""
MOST_LATE_MS = 60.0
"""Gap in a reply that a client's buffer hides."""


class Limits(NamedTuple):
    """What counts as in time, and how far the search goes."""

    most_ms: float
    seconds: float
    """Of each step; at least one turn's."""
    most_conversations: int


class Outcome(NamedTuple):
    """What so many conversations brought."""

    waits_ms: list[float]
    late_ms: list[float]
    unanswered: int
    """Turns that had no answer in time, or a failed one."""


Turn = Callable[[int, float], Awaitable[tuple[float, float]]]
"""Of a conversation, due at a moment of `time.perf_counter`: its wait and by how much it was late
later on, both in milliseconds."""


async def converse(turns_s: Sequence[Sequence[float]], seconds: float, turn: Turn) -> Outcome:
    """Have the turns of conversations at their times, whether or not others are answered."""
    outcome = Outcome([], [], 0)
    begun_s = time.perf_counter()

    async def conversation(number: int, mine_s: Sequence[float]) -> None:
        for at_s in mine_s:
            due_s = begun_s + at_s
            await asyncio.sleep(due_s - time.perf_counter())
            with contextlib.suppress(JobFailed):
                wait_ms, late_ms = await turn(number, due_s)
                outcome.waits_ms.append(wait_ms)
                outcome.late_ms.append(late_ms)

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds + GRACE_S), asyncio.TaskGroup() as group:
            for number, mine_s in enumerate(turns_s):
                group.create_task(conversation(number, mine_s), name=f"conversation-{number}")
    asked = sum(map(len, turns_s))
    return outcome._replace(unanswered=asked - len(outcome.waits_ms))


async def carried(turn: Turn, limits: Limits) -> tuple[int, float | None]:
    """Return how many conversations are answered in time, and the 95th percentile of their waits.

    They hold when 95 % of the turns wait at most `most_ms`, go on without a gap, and none is left
    without an answer.
    """
    search = Search(1, limits.most_conversations)
    p95s_ms: dict[int, float | None] = {0: None}
    while (count := search.next) is not None:
        outcome = await converse(turns_s(count, limits.seconds, seed=1), limits.seconds, turn)
        p95s_ms[count] = p95_ms = percentile(outcome.waits_ms, 95)
        late_ms = percentile(outcome.late_ms, 95) or 0.0
        in_time = p95_ms is not None and p95_ms <= limits.most_ms and late_ms <= MOST_LATE_MS
        search.tell(count, held=in_time and not outcome.unanswered)
    return search.held, p95s_ms[search.held]


async def listen(client: Client, pcm: bytes, number: int, due_s: float) -> tuple[float, float]:
    """Say a clip in real time, with partial transcripts, and wait for its final one.

    The wait counts from the end of the clip. A partial is asked for only when there is none under
    way, as the gateway does.
    """
    end_s = due_s + len(pcm) / 2 / STT_SAMPLE_RATE_HZ
    partial: asyncio.Task[None] | None = None

    async def ask_partial(heard: bytes) -> None:
        with contextlib.suppress(JobFailed):  # a newer transcription has taken its place
            await client.transcript(heard, final=False, session=number)

    async with asyncio.TaskGroup() as group:
        at_s = due_s + PARTIAL_S
        while at_s < end_s:
            await asyncio.sleep(at_s - time.perf_counter())
            heard = pcm[: 2 * int((at_s - due_s) * STT_SAMPLE_RATE_HZ)]
            if partial is None or partial.done():
                partial = group.create_task(ask_partial(heard), name="partial")
            at_s += PARTIAL_S
        await asyncio.sleep(end_s - time.perf_counter())
        _, wait_ms = await client.transcript(pcm, due_s=end_s, session=number)
        if partial is not None:
            partial.cancel()
    return wait_ms, 0.0
