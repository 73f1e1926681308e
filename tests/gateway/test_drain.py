"""Who is closed when the gateway stops, and when: over sessions that only a test moves."""

import asyncio

from antiphon_gateway.drain import drain


class Talk:
    """Stands for a session."""

    def __init__(self, *, in_turn: bool = False, answers: bool = True) -> None:
        self.closed = asyncio.Event()
        self.in_turn = in_turn
        self.answers = answers
        self.asked = asyncio.Event()
        self.leaves = False

    def leave_soon(self) -> None:
        self.leaves = True

    def shut_down(self) -> None:
        self.asked.set()
        if self.answers:
            self.closed.set()


async def test_who_is_in_a_turn_is_closed_when_it_is_over() -> None:
    idle, busy = Talk(), Talk(in_turn=True)
    async with asyncio.TaskGroup() as group:
        draining = group.create_task(drain({idle, busy}, 600, asyncio.Event()))
        await idle.closed.wait()
        assert busy.leaves
        assert not busy.asked.is_set()
        busy.in_turn = False
        await draining
    assert busy.closed.is_set()


async def test_a_session_that_ends_by_itself_is_not_waited_for() -> None:
    busy = Talk(in_turn=True)
    async with asyncio.TaskGroup() as group:
        draining = group.create_task(drain([busy], 600, asyncio.Event()))
        busy.closed.set()
        await draining


async def test_patience_ends() -> None:
    busy = Talk(in_turn=True)
    await drain({busy}, 0, asyncio.Event())
    assert busy.closed.is_set()


async def test_hurry_closes_all_that_is_left() -> None:
    busy, hurry = Talk(in_turn=True), asyncio.Event()
    hurry.set()
    await drain({busy}, 600, hurry)
    assert busy.closed.is_set()


async def test_a_client_that_does_not_answer_the_close_code_is_left_behind() -> None:
    silent = Talk(answers=False)
    await drain({silent}, 600, asyncio.Event())
    assert silent.asked.is_set()


async def test_open_requests_are_waited_for() -> None:
    idle, requests = Talk(), ["a transcription"]
    async with asyncio.TaskGroup() as group:
        draining = group.create_task(drain({idle}, 600, asyncio.Event(), lambda: len(requests)))
        await idle.closed.wait()
        await asyncio.sleep(0)
        assert not draining.done()
        requests.clear()
        await draining


async def test_patience_with_requests_ends_too() -> None:
    await drain((), 0, asyncio.Event(), lambda: 1)
