"""Whose step is next."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from antiphon_proto.messages import AudioDelta
from antiphon_workers.engine import Step
from antiphon_workers.step_order import StepOrder
from antiphon_workers.tts import listener_order
from antiphon_workers.tts.listener_order import in_order

RATE_HZ = 16_000
SECOND: Step = AudioDelta(sample_rate_hz=RATE_HZ), bytes(2 * RATE_HZ)


async def wait_in_line(order: StepOrder, due_s: float, served: list[float]) -> None:
    await order.acquire(due_s)
    served.append(due_s)
    order.release()


async def test_the_earliest_is_next_and_of_equals_who_came_first() -> None:
    order = StepOrder(1)
    await order.acquire(0.0)
    served: list[float] = []
    async with asyncio.TaskGroup() as group:
        for due_s in (3.0, 1.0, 2.0, 1.0):
            group.create_task(wait_in_line(order, due_s, served))
        await asyncio.sleep(0)
        assert not served
        order.release()
    assert served == [1.0, 1.0, 2.0, 3.0]
    await asyncio.wait_for(order.acquire(9.0), 1)


async def test_so_many_have_a_place_and_no_more() -> None:
    order = StepOrder(2)
    await order.acquire(5.0)
    await order.acquire(5.0)
    served: list[float] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(wait_in_line(order, 1.0, served))
        group.create_task(wait_in_line(order, 2.0, served))
        for _ in range(3):
            await asyncio.sleep(0)
        assert not served
        order.release()
        order.release()
    assert served == [1.0, 2.0]
    await order.acquire(5.0)
    await asyncio.wait_for(order.acquire(5.0), 1)


@pytest.mark.parametrize("given", [False, True])
async def test_who_is_cancelled_in_line_does_not_keep_the_place(given: bool) -> None:
    """Also when it was given in the same moment."""
    order = StepOrder(1)
    await order.acquire(0.0)
    served: list[float] = []
    waiting = asyncio.create_task(wait_in_line(order, 1.0, served))
    await asyncio.sleep(0)
    if given:
        order.release()
        await asyncio.sleep(0)
        waiting.cancel()
    else:
        waiting.cancel()
        order.release()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(order.acquire(2.0), 1)
    assert not served


async def speech(name: str, seconds: int, made: list[str]) -> AsyncGenerator[Step, None]:
    for _ in range(seconds):
        await asyncio.sleep(0)
        made.append(name)
        yield SECOND


async def say(speech: AsyncGenerator[Step, None]) -> None:
    async for _ in speech:
        pass


async def test_speech_goes_to_the_listener_with_least_left_to_hear() -> None:
    """One has two seconds before them; the other begins while the first has three made."""
    order, made = StepOrder(1), list[str]()
    patient = in_order(order, speech("patient", 5, made), 2_000)
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            await anext(patient)
        group.create_task(say(patient))
        group.create_task(say(in_order(order, speech("new", 6, made), 0)))
    # The step that was being made when the new one came is not taken back.
    assert "".join(name[0] for name in made) == "ppp" + "p" + "nnnnnn" + "p"


async def test_a_job_that_waits_for_its_turn_goes_on_making_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_order, "_ALIVE_S", 0.001)
    order, made = StepOrder(1), list[str]()
    await order.acquire(0.0)
    waiting = in_order(order, speech("late", 1, made), 0)
    assert [await anext(waiting), await anext(waiting)] == [None, None]
    assert not made
    order.release()
    assert [step async for step in waiting if step] == [SECOND]


async def test_a_job_that_fails_or_is_left_gives_its_turn_away() -> None:
    async def failing() -> AsyncGenerator[Step, None]:
        yield SECOND
        raise LookupError

    order, made = StepOrder(1), list[str]()
    with pytest.raises(LookupError):
        await say(in_order(order, failing(), 0))
    left = in_order(order, speech("left", 3, made), 0)
    await anext(left)
    await left.aclose()
    await asyncio.wait_for(say(in_order(order, speech("next", 1, made), 0)), 1)
    assert made == ["left", "next"]
