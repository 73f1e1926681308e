"""Main memory for old and new together: what is needed, what is free, what is said."""

from pathlib import Path

import pytest

from antiphon import room, swap
from antiphon.models_use import Choice
from antiphon_proto import machine
from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError

GB = 1_000_000_000
MEMINFO = "MemTotal: 16000000 kB\nMemAvailable:    2000000 kB\n"
NEW = Choice("stt", {"engine": "faster-whisper", "model": "moonshine-tiny-en"})
SAME = Choice("stt", {"engine": "faster-whisper", "model": Config().stt.model})


@pytest.mark.parametrize(
    ("texts", "room_bytes"),
    [
        (("", "", "", ""), None),
        ((MEMINFO, "max\n", "5\n", ""), 2_048_000_000),
        ((MEMINFO, f"{2 * GB}\n", f"{GB}\n", "anon 5\ninactive_file 7\n"), GB + 7),
        ((MEMINFO, f"{GB}\n", f"{2 * GB}\n", ""), 0),
    ],
)
def test_what_is_free_is_what_linux_and_the_container_leave(
    texts: tuple[str, str, str, str], room_bytes: int | None
) -> None:
    assert machine.room_bytes(*texts) == room_bytes


def test_here_something_is_free() -> None:
    assert (machine.available_bytes() or 1) > 0


def test_a_model_takes_what_follows_from_its_files(tmp_path: Path) -> None:
    for name, size in (("a.bin", 1_000), ("b.json", 1_000)):
        (tmp_path / name).write_bytes(bytes(size))
    assert room.of_model(str(tmp_path), Config()) == room.PROCESS_BYTES + 3_000
    assert room.of_model(str(tmp_path / "a.bin"), Config()) == room.PROCESS_BYTES + 1_500
    assert (room.of_model("tiny.en", Config()) or 0) > room.PROCESS_BYTES + 70_000_000
    assert room.of_model("somebody/elses", Config()) is None


def test_a_swap_needs_one_new_worker_and_by_how_much_the_others_grow() -> None:
    new = room.of_model("moonshine-tiny-en", Config())
    assert new
    assert swap.needs([new - 10, new - 20], NEW, Config()) == [new, 10]
    assert swap.needs([2 * new] * 3, NEW, Config()) == [new, 0, 0]
    assert swap.needs([5, 9], SAME, Config()) == [9, 0]


def test_too_little_is_said_with_the_numbers_and_what_helps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "available_bytes", lambda: GB)
    room.check([GB // 2, GB // 2], "stt-1")
    with pytest.raises(StartupError) as refused:
        room.check([GB, GB // 2], "stt-1")
    assert "no room for stt-1: that takes about 1.5 GB of main memory" in str(refused.value)
    assert "and 1.0 GB are free" in str(refused.value)
    assert "--ignore-memory" in str(refused.value)


def test_where_the_system_tells_nothing_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "available_bytes", lambda: None)
    room.check([1 << 60], "stt-1")
