"""What of the messages to a client is kept for another gateway."""

import json
from pathlib import Path

from antiphon_gateway.keeper import Keeper
from antiphon_gateway.outbox import Outbox
from antiphon_gateway.realtime import catalogue, link_events, server_events
from antiphon_gateway.session import Session
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.snapshot_files import SnapshotFiles
from antiphon_proto.config import Config


def kept_messages(directory: Path, *events: server_events.ServerEvent) -> list[dict[str, object]]:
    """Return what another gateway would send again."""
    context = SessionContext(Config(), session_id="sess_1", extensions=True)
    session = Session(context, catalogue.from_config(Config()))
    outbox = Outbox(keeps=True)
    for event in events:
        outbox.put(server_events.encode(event))
    files = SnapshotFiles(directory, "gateway")
    Keeper(files, bytes(32), None).keep(session, outbox, 0, 0)
    kept = files.take("sess_1")
    assert kept is not None
    return [json.loads(message) for is_text, message in kept.messages if is_text]


def test_a_pause_is_not_handed_on(tmp_path: Path) -> None:
    (kept,) = kept_messages(tmp_path, link_events.Flow(microphone="pause"))
    assert (kept["type"], kept["microphone"]) == ("antiphon.flow", "resume")


def test_the_token_is_not_kept(tmp_path: Path) -> None:
    ticket = link_events.SessionTicket(
        session_id="sess_1", resume_token="t0ken", resume_within_s=60.0
    )
    reconnect = link_events.Reconnect(after_ms=7)
    assert [one.get("type") for one in kept_messages(tmp_path, ticket, reconnect)] == [
        None,
        "antiphon.reconnect",
    ]


def test_another_gateway_finds_a_session_and_takes_it(tmp_path: Path) -> None:
    kept_messages(tmp_path)
    other = SnapshotFiles(tmp_path, "gateway-1")
    assert other.take("sess_1") is None
    found = other.elsewhere("sess_1")
    assert found is not None
    assert (found[0], found[1].core.session_id) == ("gateway", "sess_1")
    assert other.elsewhere("../sess_1") is None
    other.take_from("gateway", "sess_1")
    assert other.elsewhere("sess_1") is None
    assert other.take("sess_1") is not None
