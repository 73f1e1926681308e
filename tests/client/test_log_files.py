"""Reading log files: the last error, and what is new."""

from pathlib import Path

import pytest

from antiphon.log_files import Tail, last_error

TRACEBACK = "Traceback (most recent call last):\n  File x\nValueError: no"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ('{"level": "info", "event": "ready"}\n', ""),
        ("antiphon-worker stt: model x is missing\n\n", "antiphon-worker stt: model x is missing"),
        (f"{TRACEBACK}\n" + '{"level": "info", "event": "closing"}\n', "ValueError: no"),
        ('{"level": "error", "event": "load failed", "traceback": "a\\nOSError: b"}\n',
         "load failed: OSError: b"),
        ('{"level": "critical", "event": "gone"}\n{"level": "info", "event": "x"}\n', "gone"),
        ("[1, 2]\n", "[1, 2]"),
    ],
)  # fmt: skip
def test_the_last_error_is_found(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "a.log"
    path.write_text(text)
    assert last_error(path) == expected


def test_a_log_that_does_not_exist_has_no_error(tmp_path: Path) -> None:
    assert last_error(tmp_path / "none.log") == ""


def test_a_tail_gives_each_line_once_and_follows_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    tail = Tail(path)
    assert tail.new_lines() == []
    path.write_text("one\ntw")
    assert tail.new_lines() == ["one"]
    with path.open("a") as stream:
        stream.write("o\n")
    assert tail.new_lines() == ["two"]
    path.rename(tmp_path / "a.log.1")
    path.write_text("three\n")
    assert tail.new_lines() == ["three"]
    assert tail.new_lines() == []
