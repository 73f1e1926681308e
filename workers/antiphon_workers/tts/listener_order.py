"""The order in which the clauses of several listeners are spoken."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from antiphon_proto.messages import AudioDelta
from antiphon_workers.engine import Step
from antiphon_workers.step_order import StepOrder

_ALIVE_S = 1.0
"""A job that waits says so often, or it would be taken for one that is stuck."""


async def in_order(
    order: StepOrder, speech: AsyncGenerator[Step, None], patience_ms: int
) -> AsyncGenerator[Step, None]:
    """Yield a job's speech, each step made in its turn: whose listener has least left to hear.

    That one has something to hear for `patience_ms`, and for as long as the speech made since.
    """
    due_s = time.monotonic() + patience_ms / 1000
    async with aclosing(speech):
        while True:
            while not await _is_next(order, due_s):
                yield None
            try:
                step = await anext(speech)
            except StopAsyncIteration:
                return
            finally:
                order.release()
            yield step
            if isinstance(step, tuple) and isinstance(step[0], AudioDelta):
                due_s += len(step[1]) / 2 / step[0].sample_rate_hz


async def _is_next(order: StepOrder, due_s: float) -> bool:
    """Wait for the turn; False: it has not come yet."""
    try:
        async with asyncio.timeout(_ALIVE_S):
            await order.acquire(due_s)
    except TimeoutError:
        return False
    return True
