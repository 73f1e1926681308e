"""Blocking engines on the event loop: one step at a time in a thread."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Executor
from contextlib import suppress
from typing import TypeVar

from antiphon_workers.engine import Step

T = TypeVar("T")
Emit = Callable[[Step], bool]
"""Takes a step from the thread that makes it; False asks that thread to stop."""


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


async def steps_from_callback(
    executor: Executor, work: Callable[[Emit], None]
) -> AsyncGenerator[Step, None]:
    """Yield what `work`, called once in `executor`, emits.

    Steps that were not taken yet are kept: `work` must bound how many it makes. Cancellation makes
    `emit` answer False and waits for `work` to return.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[tuple[bool, Step]] = asyncio.Queue()
    stopped = threading.Event()

    def emit(step: Step) -> bool:
        loop.call_soon_threadsafe(arrived.put_nowait, (False, step))
        return not stopped.is_set()

    future = loop.run_in_executor(executor, work, emit)
    future.add_done_callback(lambda _: arrived.put_nowait((True, None)))
    try:
        while True:
            ended, step = await arrived.get()
            if ended:
                break
            yield step
        await future
    finally:
        stopped.set()
        if not future.done():
            await _uninterrupted(future)


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
