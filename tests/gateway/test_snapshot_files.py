"""Sessions on disk: the newest whole state counts, and one gateway has it."""

import os
import stat
from pathlib import Path

import msgspec
import pytest
from session_rig import Rig

from antiphon_gateway import session_snapshot
from antiphon_gateway.snapshot_files import KeptSession, SnapshotFiles

RESUME_S = 60.0


def state(number: int) -> KeptSession:
    core = session_snapshot.take(Rig().session)
    core = msgspec.structs.replace(core, session_id="sess_1", turn_id=number)
    return KeptSession(core, b"digest", number, ((True, b"{}"),) * number, 0, 0, None, 0, number)


def turn(files: SnapshotFiles) -> int | None:
    kept = files.take("sess_1")
    return None if kept is None else kept.core.turn_id


def written(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file())


def test_the_newest_state_is_taken_and_no_other_can_read_it(tmp_path: Path) -> None:
    files = SnapshotFiles(tmp_path, "gateway-0")
    assert turn(files) is None
    for number in range(1, 6):
        files.write(state(number))
        assert turn(SnapshotFiles(tmp_path, "gateway-0")) == number
    assert [stat.S_IMODE(file.stat().st_mode) for file in written(tmp_path)] == [0o600, 0o600]


@pytest.mark.parametrize("left", [0, 3, 16, 40, -1])
def test_a_state_that_was_cut_off_leaves_the_one_before(tmp_path: Path, left: int) -> None:
    files = SnapshotFiles(tmp_path, "gateway-0")
    for number in (1, 2, 3, 4, 5):
        files.write(state(number))
    newest = tmp_path / "sessions" / "gateway-0" / "sess_1" / "0"
    before = newest.read_bytes()
    files.write(state(6))
    whole = newest.read_bytes()
    newest.write_bytes(whole[:left] + before[left:] if left >= 0 else whole[:left])
    assert turn(files) == 5


def test_a_full_disk_is_told_and_leaves_the_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = SnapshotFiles(tmp_path, "gateway-0")
    files.write(state(1))
    with monkeypatch.context() as full:
        full.setattr(os, "writev", lambda descriptor, parts: os.write(descriptor, parts[0]))
        with pytest.raises(OSError, match="No space left"):
            files.write(state(2))
    assert turn(files) == 1


def test_one_gateway_gets_what_was_handed_over(tmp_path: Path) -> None:
    one, two = (SnapshotFiles(tmp_path, f"gateway-{number}") for number in (1, 2))
    one.write(state(1))
    assert turn(two) is None
    one.hand_over("sess_1")
    assert (turn(two), turn(one)) == (1, None)


def test_a_session_is_taken_from_another_gateway_in_place_of_an_old_state(tmp_path: Path) -> None:
    one, two = (SnapshotFiles(tmp_path, f"gateway-{number}") for number in (1, 2))
    two.write(state(1))
    one.write(state(2))
    found = two.elsewhere("sess_1")
    assert found is not None
    assert (found[0], found[1].core.turn_id) == ("gateway-1", 2)
    two.take_from("gateway-1", "sess_1")
    assert (turn(two), turn(one)) == (2, None)


def test_nothing_is_left_of_a_session_that_ended_or_that_nobody_came_for(tmp_path: Path) -> None:
    files = SnapshotFiles(tmp_path, "gateway-0")
    files.write(state(1))
    files.delete("sess_1")
    files.delete("sess_1")
    assert not list((tmp_path / "sessions" / "gateway-0").iterdir())
    files = SnapshotFiles(tmp_path, "gateway-0")
    files.write(state(2))
    long_ago = files._started_s - 2 * RESUME_S
    files._started_s = long_ago
    files.sweep(RESUME_S, ())
    assert turn(files) == 2
    for file in (*written(tmp_path), written(tmp_path)[0].parent):
        os.utime(file, (long_ago, long_ago))
    files.sweep(RESUME_S, {"sess_1"})
    assert turn(files) == 2
    files.sweep(RESUME_S, ())
    assert not list((tmp_path / "sessions" / "gateway-0").iterdir())
