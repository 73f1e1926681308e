"""Blocking engines on the event loop: one step at a time in a thread."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import Executor
from contextlib import suppress
from typing import TypeVar

from antiphon_workers.engine import Step

T = TypeVar("T")


async def steps_in_thread(
    executor: Executor, steps: Generator[Step, None, None]
) -> AsyncGenerator[Step, None]:
    """Yield what the blocking generator yields, running each of its steps in `executor`.

    The next step starts when the previous one was taken, so nothing queues up and a consumer that
    waits makes the engine wait. A thread cannot be cancelled: cancellation waits for the running
    step, then closes the generator, so whoever awaits it knows that the engine is free again.
    """
    loop = asyncio.get_running_loop()
    try:
        while True:
            ended, step = await _uninterrupted(loop.run_in_executor(executor, _advance, steps))
            if ended:
                return
            yield step
    finally:
        await _uninterrupted(loop.run_in_executor(executor, steps.close))


def _advance(steps: Generator[Step, None, None]) -> tuple[bool, Step]:
    """Return whether the generator ended, and its step: StopIteration cannot cross a future."""
    try:
        return False, next(steps)
    except StopIteration:
        return True, None


async def _uninterrupted(future: asyncio.Future[T]) -> T:
    """Await `future` to its end even when cancelled meanwhile; then pass the cancellation on."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        # Retrieved, or asyncio reports it as forgotten: the job is cancelled, nobody wants it.
        future.exception()
        raise
