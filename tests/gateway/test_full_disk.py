"""Where sessions cannot be kept they go on, and nobody goes on from a state that is old."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from blockbuster import BlockBuster
from session_rig import Rig

from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.drain import drain
from antiphon_gateway.driver import SessionDriver
from antiphon_gateway.effects import Effect
from antiphon_gateway.live_session import LiveSession
from antiphon_gateway.outbox import Outbox
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.retrieval.service import RetrievalService
from antiphon_gateway.session import Session
from antiphon_gateway.snapshot_files import SnapshotFiles
from antiphon_gateway.vad import Vad
from antiphon_proto.config import Config, Retrieval


class Nobody:
    """Stands for workers without jobs and a detector that hears nothing."""

    def open(self, _: Any) -> "Nobody":
        return self

    def close(self) -> None:
        """Hear no more."""

    def cancel(self, _: list[str]) -> None:
        """There is none."""


@pytest.fixture(autouse=True)
def on_the_loop(blocking_calls: BlockBuster) -> None:
    """Sessions are kept on the event loop: what they tell waits for it."""
    blocking_calls.deactivate()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Return what `fill` fills, and `undo` frees again."""
    with monkeypatch.context() as disk:
        yield disk


def fill(disk: pytest.MonkeyPatch) -> None:
    """Leave room for the head of a state alone."""
    disk.setattr(os, "writev", lambda descriptor, parts: os.write(descriptor, parts[0]))


def begin(files: SnapshotFiles, session_id: str = "sess_1") -> LiveSession:
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

    core = Rig(extensions=True).session
    core.take_effects()
    core.context.session_id = session_id
    session = LiveSession(core, Config(), make_driver, lambda *_: None, files)
    session.open()
    return session


def learn(session: LiveSession) -> None:
    """Tell the client something that is to be kept."""
    session.refuse(InvalidEvent("invalid_value", "told"))


async def test_a_session_goes_on_that_cannot_be_kept(
    tmp_path: Path, disk: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    fill(disk)
    session = begin(SnapshotFiles(tmp_path, "gateway-0"))
    learn(session)
    assert session.outbox.closing is None
    (warning,) = caplog.records
    assert "bus.runtime_dir" in warning.getMessage()
    told = vars(warning)
    assert told["session_id"] == session.session_id
    assert told["path"] == str(tmp_path / "sessions")
    assert told["error"] == "No space left on device"


async def test_nobody_goes_on_from_a_state_older_than_what_the_client_knows(
    tmp_path: Path, disk: pytest.MonkeyPatch
) -> None:
    files = SnapshotFiles(tmp_path, "gateway-0")
    session = begin(files)
    for _ in range(2):
        learn(session)
    assert files.take("sess_1") is not None
    fill(disk)
    learn(session)
    assert files.take("sess_1") is None
    assert SnapshotFiles(tmp_path, "gateway-1").elsewhere("sess_1") is None


async def test_a_session_is_kept_again_once_there_is_room(
    tmp_path: Path, disk: pytest.MonkeyPatch
) -> None:
    files = SnapshotFiles(tmp_path, "gateway-0")
    fill(disk)
    session = begin(files)
    disk.undo()
    learn(session)
    kept = files.take("sess_1")
    assert kept is not None
    assert kept.sent == session.outbox.unacknowledged()[0]


async def test_every_session_is_closed_though_none_can_be_kept(
    tmp_path: Path, disk: pytest.MonkeyPatch
) -> None:
    files = SnapshotFiles(tmp_path, "gateway-0")
    sessions = [begin(files, f"sess_{number}") for number in range(2)]
    fill(disk)
    await drain(sessions, 0, asyncio.Event())
    assert all(session.closed.is_set() for session in sessions)
    assert [session.outbox.closing for session in sessions] == [
        (1012, "the server is restarting")
    ] * 2


async def test_a_session_whose_files_stay_where_they_are_ends_all_the_same(tmp_path: Path) -> None:
    session = begin(SnapshotFiles(tmp_path, "gateway-0"))
    (tmp_path / "sessions" / "gateway-0" / "sess_1" / "of somebody else").touch()
    session.end(None)
    assert session.closed.is_set()
