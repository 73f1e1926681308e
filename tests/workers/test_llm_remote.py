"""Waiting for another server, and answers that it says again."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from antiphon_proto.errors import JobFailed
from antiphon_workers.llm import remote
from antiphon_workers.llm.remote import Continuation, with_ticks


def fed(begun: str, *deltas: str) -> str:
    new = Continuation(begun)
    return "".join([*(new.feed(delta) for delta in deltas), new.finish()])


def test_what_goes_on_is_passed_on() -> None:
    assert fed("", " Hello", " there") == " Hello there"
    assert fed("The capital", " of", " France") == " of France"


def test_what_is_said_again_is_dropped() -> None:
    assert fed("The capital", "The", " cap", "ital of", " France") == " of France"


def test_what_only_begins_alike_is_kept() -> None:
    assert fed("The capital", " The", " cat") == " The cat"
    assert fed("The capital", "The cap") == "The cap"


def test_a_space_that_was_said_is_not_said_again() -> None:
    assert fed("The capital ", " of", " France") == "of France"
    assert fed("The capital ", "The capital", " of") == "of"


async def take(ticking: AsyncGenerator[str | None, None]) -> None:
    async with aclosing(ticking):
        async for _ in ticking:
            pass


async def spoken(*gaps_s: float) -> AsyncGenerator[str, None]:
    for gap_s in gaps_s:
        await asyncio.sleep(gap_s)
        yield "word"


async def test_silence_before_an_answer_is_no_standstill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "TICK_S", 0.01)
    monkeypatch.setattr(remote, "STALL_S", 0.02)
    async with aclosing(with_ticks(spoken(0.1, 0))) as chunks:
        made = [chunk async for chunk in chunks]
    assert made.count("word") == 2
    assert made[:2] == [None, None]


async def test_silence_within_an_answer_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "TICK_S", 0.01)
    monkeypatch.setattr(remote, "STALL_S", 0.05)
    closed = asyncio.Event()

    async def chunks() -> AsyncGenerator[str, None]:
        try:
            yield "word"
            await asyncio.sleep(60)
        finally:
            closed.set()

    with pytest.raises(JobFailed, match="said nothing") as caught:
        await take(with_ticks(chunks()))
    assert caught.value.retryable
    assert closed.is_set()


async def test_closing_closes_what_waits_for_the_network() -> None:
    closed = asyncio.Event()

    async def chunks() -> AsyncGenerator[str, None]:
        try:
            yield "word"
            await asyncio.sleep(60)
        finally:
            closed.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(take(with_ticks(chunks())))
        await asyncio.sleep(0.05)
        task.cancel()
    assert closed.is_set()
