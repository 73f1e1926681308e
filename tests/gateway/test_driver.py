"""Carrying out a session's decisions when the client does not read."""

from typing import Any, cast

from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.driver import SessionDriver
from antiphon_gateway.outbox import MAX_MESSAGES, Outbox
from antiphon_gateway.realtime import catalogue, client_events
from antiphon_gateway.retrieval.service import RetrievalService
from antiphon_gateway.session import Session
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.vad import Vad
from antiphon_proto.config import Config, Retrieval


class Jobs:
    """Stands for the dispatcher: which jobs are open."""

    def __init__(self) -> None:
        self.open: set[str] = set()

    def submit(self, request: Any, _: Any) -> None:
        self.open.add(request.job_id)

    def cancel(self, job_ids: list[str]) -> None:
        self.open.difference_update(job_ids)


class Ears:
    """Stands for voice activity detection that hears nothing."""

    def open(self, _: Any) -> "Ears":
        return self

    def close(self) -> None:
        """Hear no more."""


async def test_a_client_that_does_not_read_leaves_no_job_behind() -> None:
    config, jobs, outbox = Config(), Jobs(), Outbox()
    context = SessionContext(config, session_id="sess_1", extensions=False)
    session = Session(context, catalogue.from_config(config))
    driver = SessionDriver(
        session, cast(Dispatcher, jobs), cast(Vad, Ears()), outbox, RetrievalService(Retrieval())
    )
    for _ in range(MAX_MESSAGES):
        assert outbox.put("x")
    create = client_events.decode('{"type": "response.create"}')
    driver.run(lambda now_ms: session.on_event(create, now_ms))
    assert outbox.closing == (1008, "client reads too slowly")
    assert jobs.open == set()
