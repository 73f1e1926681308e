"""Carrying out a session's decisions: in which order, and when the client does not read."""

import asyncio
from typing import Any, cast

from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.driver import SessionDriver
from antiphon_gateway.outbox import MAX_MESSAGES, Outbox
from antiphon_gateway.realtime import catalogue, client_events
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.retrieval.service import RetrievalService
from antiphon_gateway.session import Session
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.vad import Vad
from antiphon_proto.config import Config, Retrieval


class Jobs:
    """Stands for the dispatcher: which jobs are open."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.log: list[str] = []

    def submit(self, request: Any, _: Any) -> None:
        self.open.add(request.job_id)
        self.log.append(f"submit {request.job_id}")

    def cancel(self, job_ids: list[str]) -> None:
        self.open.difference_update(job_ids)
        self.log += [f"cancel {job_id}" for job_id in job_ids]


class Ears:
    """Stands for voice activity detection that hears nothing."""

    def open(self, _: Any) -> "Ears":
        return self

    def close(self) -> None:
        """Hear no more."""


def driven(jobs: Jobs, outbox: Outbox) -> tuple[Session, SessionDriver]:
    config = Config()
    context = SessionContext(config, session_id="sess_1", extensions=False)
    session = Session(context, catalogue.from_config(config))
    dispatcher, ears = cast(Dispatcher, jobs), cast(Vad, Ears())
    return session, SessionDriver(session, dispatcher, ears, outbox, RetrievalService(Retrieval()))


def take(session: Session, driver: SessionDriver, type_: str) -> None:
    event = client_events.decode(f'{{"type": "{type_}"}}')
    driver.run(lambda now_ms: session.on_event(event, now_ms))


async def test_a_client_that_does_not_read_leaves_no_job_behind() -> None:
    jobs, outbox = Jobs(), Outbox()
    session, driver = driven(jobs, outbox)
    for _ in range(MAX_MESSAGES):
        assert outbox.put("x")
    take(session, driver, "response.create")
    assert outbox.closing == (1008, "client reads too slowly")
    assert jobs.open == set()


async def test_a_client_that_does_not_read_what_goes_before_a_cancellation_leaves_none() -> None:
    jobs, outbox = Jobs(), Outbox()
    session, driver = driven(jobs, outbox)
    take(session, driver, "response.create")
    while outbox.take() is not None:
        pass
    for _ in range(MAX_MESSAGES):
        assert outbox.put("x")

    def interrupt(now_ms: float) -> None:
        session.refuse(InvalidEvent("invalid_value", "told first"))
        session.on_event(client_events.decode('{"type": "response.cancel"}'), now_ms)

    driver.run(interrupt)
    await asyncio.sleep(0)
    assert outbox.closing == (1008, "client reads too slowly")
    assert jobs.open == set()


async def test_a_client_learns_of_a_cancelled_response_before_the_workers_do() -> None:
    jobs, outbox = Jobs(), Outbox()
    session, driver = driven(jobs, outbox)
    take(session, driver, "response.create")
    feed = outbox.attach()
    while outbox.take() is not None:
        pass

    async def send() -> None:
        while (message := await feed.get()) is not None:
            if '"response.done"' in str(message):
                jobs.log.append("told")

    async with asyncio.TaskGroup() as group:
        sender = group.create_task(send())
        await asyncio.sleep(0)
        take(session, driver, "response.cancel")
        for _ in range(5):
            await asyncio.sleep(0)
        sender.cancel()
    assert jobs.log == ["submit sess_1.1", "told", "cancel sess_1.1"]


async def test_jobs_are_cancelled_before_others_are_asked_for() -> None:
    jobs = Jobs()
    session, driver = driven(jobs, Outbox())
    take(session, driver, "response.create")

    def replace(now_ms: float) -> None:
        for type_ in ("response.cancel", "response.create"):
            session.on_event(client_events.decode(f'{{"type": "{type_}"}}'), now_ms)

    driver.run(replace)
    assert jobs.log == ["submit sess_1.1", "cancel sess_1.1", "submit sess_1.2"]


async def test_the_end_of_a_session_cancels_what_was_to_be_cancelled() -> None:
    jobs = Jobs()
    session, driver = driven(jobs, Outbox())
    take(session, driver, "response.create")
    take(session, driver, "response.cancel")
    driver.close()
    assert jobs.open == set()
