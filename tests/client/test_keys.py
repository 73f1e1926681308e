"""`antiphon keys`: pairs made here, public keys of others let in."""

from pathlib import Path

import pytest

from antiphon.__main__ import main
from antiphon_proto import curve


def run(directory: Path, *words: str) -> int:
    return main(["keys", *words, "--set", f"bus.key_dir={directory}"])


def test_every_process_gets_a_pair_and_a_second_run_changes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "make") == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines()] == [
        "gateway-0",
        "stt-0",
        "llm-0",
        "tts-0",
    ]
    assert run(tmp_path, "make") == 0
    assert capsys.readouterr().out == shown
    assert run(tmp_path, "list") == 0
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(shown.splitlines())


def test_a_process_of_another_machine_is_let_in_by_its_public_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    assert run(there, "make", "stt-1") == 0
    name, key = capsys.readouterr().out.split()
    assert run(here, "allow", name, key) == 0
    assert curve.known(here) == {"stt-1": key.encode()}
    assert list(here.glob("*.key_secret")) == []


def test_without_a_directory_it_says_how_to_name_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "list"]) == 2
    assert "--set bus.key_dir=" in capsys.readouterr().err
