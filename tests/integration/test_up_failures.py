"""What `antiphon up` says when it cannot start the server."""

import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from stand_ins import StandIns, stand_ins

pytestmark = pytest.mark.integration


@pytest.fixture
def server() -> Iterator[StandIns]:
    with stand_ins() as environment:
        yield environment


def output_of_failure(server: StandIns, *flags: str, port: int | None = None) -> str:
    process = server.up(*flags, port=port)
    output, _ = process.communicate()
    assert process.returncode == 2
    assert "Traceback" not in output
    assert server.running() == []
    return output


def test_a_program_that_misses_something_is_reported_in_its_own_words(server: StandIns) -> None:
    server.rule("fail", "stt-0", "model tiny.en is not installed; run: antiphon models pull")
    output = output_of_failure(server)
    assert "stt-0 cannot start: model tiny.en is not installed; run: antiphon models" in output


def test_a_program_that_keeps_crashing_is_reported_by_its_exception(server: StandIns) -> None:
    traceback = 'Traceback:\n  File "engine.py", line 1\nModuleNotFoundError: No module named x\n'
    server.rule("crash", "llm-0", traceback)
    output = server.up()
    text, _ = output.communicate()
    assert "llm-0 cannot start: ModuleNotFoundError: No module named x" in text
    assert server.running() == []
    assert [name for name, _ in server.started()].count("llm-0") >= 3


def test_a_taken_port_is_named_with_the_flag_that_helps(server: StandIns) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        output = output_of_failure(server, port=port)
    assert f"port {port} on 127.0.0.1 is in use by another program" in output
    assert f"antiphon up --port {port + 1}" in output
    assert server.started() == []


def test_a_second_server_in_the_same_directory_is_refused(server: StandIns) -> None:
    first = server.up()
    assert first.stdout
    for line in first.stdout:
        if "Ready" in line:
            break
    second = server.up()
    output, _ = second.communicate()
    assert second.returncode == 2
    assert f"another antiphon (process {first.pid}) runs in {server.runtime_dir}" in output
    first.send_signal(signal.SIGTERM)
    first.communicate()
    assert server.running() == []


def test_a_host_that_is_not_of_this_machine_is_refused(server: StandIns) -> None:
    output = output_of_failure(server, "--host", "192.0.2.1")
    assert "cannot listen on host 192.0.2.1" in output


def test_a_runtime_directory_others_can_read_is_refused(server: StandIns) -> None:
    server.runtime_dir.mkdir(mode=0o755)
    server.runtime_dir.chmod(0o755)
    output = output_of_failure(server)
    assert "must belong to this user with mode 0700" in output


def test_an_unknown_setting_is_refused_before_anything_starts(server: StandIns) -> None:
    output = output_of_failure(server, "--set", "stt.proceses=2")
    assert "did you mean stt.processes?" in output
    assert server.started() == []
