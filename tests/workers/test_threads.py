"""Blocking generators on the event loop."""

import asyncio
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest

from antiphon_proto.messages import TextDelta
from antiphon_workers.engine import Step
from antiphon_workers.threads import Emit, steps_from_callback, steps_in_thread


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=1) as opened:
        yield opened


def delta(text: str) -> Step:
    return TextDelta(text=text), b""


async def test_steps_arrive_in_order_and_run_outside_the_event_loop(
    executor: ThreadPoolExecutor,
) -> None:
    def steps() -> Generator[Step, None, None]:
        for _ in range(3):
            yield delta(threading.current_thread().name)
        yield None

    collected = [step async for step in steps_in_thread(executor, steps())]
    assert len(collected) == 4
    assert collected[-1] is None
    assert delta(threading.current_thread().name) not in collected


async def test_the_next_step_is_not_made_before_the_last_one_was_taken(
    executor: ThreadPoolExecutor,
) -> None:
    made: list[int] = []

    def steps() -> Generator[Step, None, None]:
        for place in range(10):
            made.append(place)
            yield None

    async with aclosing(steps_in_thread(executor, steps())) as running:
        await anext(running)
        await anext(running)
    assert made == [0, 1]


async def test_cancellation_waits_for_the_running_step_and_closes_the_generator(
    executor: ThreadPoolExecutor,
) -> None:
    entered, leave, closed = threading.Event(), threading.Event(), threading.Event()

    def steps() -> Generator[Step, None, None]:
        try:
            entered.set()
            leave.wait()
            yield None
            yield None
        finally:
            closed.set()

    async def consume() -> None:
        async with aclosing(steps_in_thread(executor, steps())) as running:
            async for _ in running:
                pytest.fail("a cancelled job made a step")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(consume())
        await asyncio.to_thread(entered.wait)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        assert not closed.is_set()
        leave.set()
    assert task.cancelled()
    assert closed.is_set()


async def test_an_exception_in_a_step_reaches_the_consumer(executor: ThreadPoolExecutor) -> None:
    def steps() -> Generator[Step, None, None]:
        yield None
        raise ValueError("broken model")

    with pytest.raises(ValueError, match="broken model"):
        async for _ in steps_in_thread(executor, steps()):
            pass


async def test_work_that_is_cancelled_ends_at_its_next_step(
    executor: ThreadPoolExecutor,
) -> None:
    go_on, answers = threading.Event(), []

    def work(emit: Emit) -> None:
        while emit(delta("word")):
            go_on.wait()
            answers.append("went on")

    async def consume() -> None:
        async with aclosing(steps_from_callback(executor, work)) as running:
            async for _ in running:
                started.set()

    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(consume())
        await started.wait()
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
    assert task.cancelled()
    assert len(answers) <= 1
