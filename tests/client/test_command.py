"""The `antiphon` command: help that teaches, errors as one line, exit codes."""

import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from antiphon import up
from antiphon.__main__ import COMMANDS, main
from antiphon_proto.config import Config

ROOT = Path(__file__).parents[2]


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--help"])
    shown = capsys.readouterr().out
    assert raised.value.code == 0
    assert all(f"    {name}" in shown for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"\n  antiphon {command}" in capsys.readouterr().out


def test_a_known_error_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["config", "--set", "gateway.prot=1"])
    assert code == 2
    error = capsys.readouterr().err
    assert error == (
        "antiphon: setting gateway.prot: there is no setting gateway.prot; "
        "did you mean gateway.port?\n"
    )


@pytest.mark.parametrize("flags", [[], ["--behind-proxy"]])
def test_up_is_told_of_a_proxy_by_a_flag(monkeypatch: pytest.MonkeyPatch, flags: list[str]) -> None:
    started: list[Config] = []
    monkeypatch.setattr(up, "run", lambda settings, **_: started.append(settings) or 0)
    assert main(["up", "--simulated", *flags]) == 0
    assert [config.gateway.behind_proxy for config in started] == [bool(flags)]


def test_config_prints_toml_with_masked_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--set", "gateway.api_keys=secret-one,secret-two"]) == 0
    shown = capsys.readouterr().out
    assert "secret" not in shown
    assert tomllib.loads(shown)["gateway"]["api_keys"] == ["***", "***"]


def test_ctrl_c_ends_a_download_with_130_and_leaves_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as never_answers:
        process = _pull_from(never_answers.getsockname()[1], tmp_path / "cache")
        connection, _ = never_answers.accept()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate()
        connection.close()
    assert process.returncode == 130
    assert "Traceback" not in output
    assert "interrupted" in output
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".silero-vad.lock"]


def _pull_from(port: int, cache: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "antiphon", "models", "pull", "silero-vad"]
    return subprocess.Popen(
        [*command, "--set", f"models.cache_dir={cache}"],
        env={"PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple", "PIP_CONFIG_FILE": "/dev/null"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_example_configuration_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    main(["config", "--example"])
    assert (ROOT / "deploy/antiphon.example.toml").read_text() == capsys.readouterr().out, (
        "run: antiphon config --example > deploy/antiphon.example.toml"
    )


def test_the_example_configuration_is_the_default_one(capsys: pytest.CaptureFixture[str]) -> None:
    main(["config", "--config", str(ROOT / "deploy/antiphon.example.toml")])
    example = capsys.readouterr().out
    main(["config"])
    assert capsys.readouterr().out == example
