"""Jobs of one session run one after the other, jobs of several beside each other."""

import asyncio

import pytest

from antiphon_workers.llm import session_order
from antiphon_workers.llm.session_order import SessionOrder


async def test_a_second_job_of_a_session_waits_for_the_first():
    order = SessionOrder()
    begun: list[str] = []
    both_began, release = asyncio.Event(), asyncio.Event()

    async def work(session_id: str, name: str) -> None:
        async with order.turn(session_id):
            begun.append(name)
            if len(begun) == 2:
                both_began.set()
            await release.wait()

    async with asyncio.TaskGroup() as group:
        for session_id, name in (("a", "a1"), ("a", "a2"), ("b", "b1")):
            group.create_task(work(session_id, name))
        await both_began.wait()
        assert begun == ["a1", "b1"]
        release.set()
    assert begun == ["a1", "b1", "a2"]
    assert not order.sessions


async def test_a_job_that_waits_may_be_cancelled():
    order = SessionOrder()
    async with order.turn("a"):
        waiting = asyncio.ensure_future(_hold(order))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with order.turn("a"):
        pass
    assert not order.sessions


async def test_patience_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session_order, "PATIENCE_S", 0.01)
    order = SessionOrder()
    async with order.turn("a"), order.turn("a"):
        assert order.sessions == {"a"}
    assert not order.sessions


async def _hold(order: SessionOrder) -> None:
    async with order.turn("a"):
        pass
