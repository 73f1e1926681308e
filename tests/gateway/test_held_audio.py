"""What a session holds of what was said and played, while it goes on and once it is over."""

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from session_rig import Rig, answer, text_item

from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.driver import SessionDriver
from antiphon_gateway.effects import Effect
from antiphon_gateway.live_session import LiveSession
from antiphon_gateway.outbox import Outbox
from antiphon_gateway.retrieval.service import RetrievalService
from antiphon_gateway.session import Session
from antiphon_gateway.snapshot_files import SnapshotFiles
from antiphon_gateway.vad import Vad
from antiphon_proto.config import Config, Retrieval

REPLY_MS = 3_000
REPLY_BYTES = REPLY_MS * 48
QUESTION = "x" * 300
QUESTION_BYTES = 300 * 32 * 32
SENT_BYTES = 500_000


class Nobody:
    """Stands for workers without jobs, a detector that hears nothing and files of no session."""

    def open(self, _: Any) -> "Nobody":
        return self

    def close(self) -> None:
        """Hear no more."""

    def cancel(self, _: list[str]) -> None:
        """There is none."""

    def delete(self, _: str) -> None:
        """There is none."""


@pytest.fixture
def allocated() -> Iterator[Callable[[], int]]:
    """Return how many bytes the interpreter has allocated since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()


def reply(rig: Rig) -> None:
    """Let the session answer with speech, to its end."""
    text_item(rig, "Speak.")
    rig.send(type="response.create")
    answer(rig, "This is said.", clause_ms=REPLY_MS)
    rig.pass_time(2 * REPLY_MS)
    rig.audio.clear()


def make_driver(
    session: Session, outbox: Outbox, after_step: Callable[[list[Effect]], None]
) -> SessionDriver:
    nobody = Nobody()
    return SessionDriver(
        session,
        cast(Dispatcher, nobody),
        cast(Vad, nobody),
        outbox,
        RetrievalService(Retrieval()),
        after_step=after_step,
    )


def test_replies_that_were_heard_long_ago_hold_no_audio(allocated: Callable[[], int]) -> None:
    rig = Rig()
    reply(rig)
    before_bytes = allocated()
    for _ in range(10):
        reply(rig)
    assert allocated() - before_bytes < 5 * REPLY_BYTES


async def test_a_session_that_is_over_holds_no_audio(
    allocated: Callable[[], int],
) -> None:
    rig = Rig(extensions=True)
    files = cast(SnapshotFiles, Nobody())
    live = LiveSession(rig.session, Config(), make_driver, lambda *_: None, files)
    before_bytes = allocated()
    rig.speak(QUESTION)
    reply(rig)
    live.outbox.put(bytes(SENT_BYTES))
    await live.attach().get()
    held_bytes = allocated() - before_bytes
    assert held_bytes > QUESTION_BYTES + REPLY_BYTES + SENT_BYTES
    live.end(None)
    # Cycles keep the rest of it until they are collected.
    assert held_bytes - (allocated() - before_bytes) > QUESTION_BYTES + REPLY_BYTES + SENT_BYTES
