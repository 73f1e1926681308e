"""Sessions on disk: the newest whole state counts, and one gateway has it."""

import os
import stat
import time
from pathlib import Path

import msgspec
import pytest
from session_rig import Rig

from antiphon_gateway import session_snapshot
from antiphon_gateway.snapshot_files import KeptSession, SnapshotFiles

RESUME_S = 60.0
LONG_AGO_S = 2 * RESUME_S


def state(number: int) -> KeptSession:
    core = session_snapshot.take(Rig().session)
    core = msgspec.structs.replace(core, session_id="sess_1", turn_id=number)
    return KeptSession(core, b"digest", number, ((True, b"{}"),) * number, 0, 0, None, 0, number)


def turn(files: SnapshotFiles) -> int | None:
    kept = files.take("sess_1")
    return None if kept is None else kept.core.turn_id


def is_alone(_: str) -> bool:
    """Tell of any other gateway that it is dead."""
    return False


def grow_old(path: Path) -> None:
    """Have all files be changed long ago."""
    long_ago_s = time.time() - LONG_AGO_S
    for file in path.rglob("*"):
        os.utime(file, (long_ago_s, long_ago_s))


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
    files._started_s -= LONG_AGO_S
    files.sweep(RESUME_S, (), is_alone)
    assert turn(files) == 2
    grow_old(tmp_path)
    files.sweep(RESUME_S, {"sess_1"}, is_alone)
    assert turn(files) == 2
    files.sweep(RESUME_S, (), is_alone)
    assert not list((tmp_path / "sessions" / "gateway-0").iterdir())


def test_nothing_is_left_of_the_sessions_of_a_gateway_that_is_dead(tmp_path: Path) -> None:
    dead, files = (SnapshotFiles(tmp_path, f"gateway-{number}") for number in (1, 0))
    dead.write(state(1))
    grow_old(tmp_path)
    files._started_s -= LONG_AGO_S
    files.sweep(RESUME_S, (), is_alone)
    assert files.elsewhere("sess_1") is not None, "whoever was there when it died may still come"
    files._dead_s["gateway-1"] -= LONG_AGO_S
    files.sweep(RESUME_S, (), is_alone)
    assert not written(tmp_path)


def test_files_of_a_living_gateway_are_its_own_to_sweep(tmp_path: Path) -> None:
    other, files = (SnapshotFiles(tmp_path, f"gateway-{number}") for number in (1, 0))
    other.write(state(1))
    grow_old(tmp_path)
    for is_alive in (is_alone, lambda gateway: gateway == "gateway-1", is_alone):
        files.sweep(RESUME_S, (), is_alive)
        assert files.elsewhere("sess_1") is not None
        assert ("gateway-1" in files._dead_s) is (is_alive is is_alone)
        files._dead_s = dict.fromkeys(files._dead_s, time.time() - LONG_AGO_S)
    files.sweep(RESUME_S, (), is_alone)
    assert not written(tmp_path)


def test_what_cannot_be_deleted_does_not_end_the_sweep(tmp_path: Path) -> None:
    files = SnapshotFiles(tmp_path, "gateway-0")
    files.write(state(1))
    foreign = tmp_path / "sessions" / "gateway-0" / "sess_1" / "of somebody else"
    foreign.touch()
    grow_old(tmp_path)
    files._started_s -= LONG_AGO_S
    files.sweep(RESUME_S, (), is_alone)
    assert written(tmp_path) == [foreign]
