"""`antiphon up` with real processes under each supervisor: start, serve, stop, die."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from stand_ins import StandIns, children, is_running, stand_ins

pytestmark = pytest.mark.integration

PROGRAMS = ["gateway", "llm-0", "stt-0", "tts-0"]


@pytest.fixture(params=["supervisord", "builtin"])
def server(request: pytest.FixtureRequest) -> Iterator[StandIns]:
    with stand_ins() as environment:
        environment.supervisor = request.param
        yield environment


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    """Return the output up to the line that holds `text`; fails when the output ends before."""
    assert process.stdout
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} was not printed; the output was:\n{seen}")


def wait_until_ended(
    environment: StandIns, process: "subprocess.Popen[str]", *, killed: bool = False
) -> str:
    output, _ = process.communicate()
    while killed and environment.running():
        time.sleep(0.01)  # the kernel takes its time to end a killed process
    assert environment.running() == []
    assert "Traceback" not in output
    return output


def test_every_program_runs_and_the_page_is_named_when_ready(server: StandIns) -> None:
    process = server.up()
    output = read_until(process, "Ready")
    assert f"http://localhost:{server.port}" in output
    assert sorted(server.running()) == PROGRAMS
    process.send_signal(signal.SIGINT)
    wait_until_ended(server, process)
    assert process.returncode == 0


def test_programs_get_the_settings_of_the_flags_and_the_file(server: StandIns) -> None:
    file = server.root / "given.toml"
    file.write_text('[llm]\ntemperature = 0.125\ninstructions = "100% \\"quoted\\" ; # text"\n')
    process = server.up("--config", str(file), "--set", "stt.processes=2", "--verbose")
    seen = {read_until(process, '"temperature": 0.125').splitlines()[-1][:5] for _ in range(4)}
    assert seen == {"llm-0", "stt-0", "stt-1", "tts-0"}
    process.terminate()
    wait_until_ended(server, process)


def test_being_stopped_while_loading_leaves_nothing_behind(server: StandIns) -> None:
    server.rule("slow", "stt-0")
    process = server.up()
    read_until(process, "stt: loading the model")
    process.send_signal(signal.SIGINT)
    wait_until_ended(server, process)
    assert process.returncode == 128 + signal.SIGINT


def test_a_second_signal_ends_programs_that_will_not_stop(server: StandIns) -> None:
    server.rule("stubborn", "llm-0")
    process = server.up()
    read_until(process, "Ready")
    process.send_signal(signal.SIGINT)
    read_until(process, "Stopping")
    assert "llm-0" in server.running()
    process.send_signal(signal.SIGINT)
    wait_until_ended(server, process, killed=True)


def test_a_killed_program_is_started_again(server: StandIns) -> None:
    process = server.up()
    read_until(process, "Ready")
    os.kill(server.once_started("tts-0")["tts-0"], signal.SIGKILL)
    read_until(process, "tts-0 ended and was started again")
    process.terminate()
    wait_until_ended(server, process)
    assert [name for name, _ in server.started()].count("tts-0") == 2


def test_a_program_that_fails_again_and_again_is_started_again_and_again(server: StandIns) -> None:
    process = server.up()
    read_until(process, "Ready")
    server.rule("crash", "tts-0", "no luck")
    os.kill(server.once_started("tts-0")["tts-0"], signal.SIGKILL)
    while [name for name, _ in server.started()].count("tts-0") < 4:
        time.sleep(0.05)
    (server.control / "crash-tts-0").unlink()
    while "tts-0" not in server.running():
        time.sleep(0.05)
    process.terminate()
    wait_until_ended(server, process)


def test_sockets_of_dead_processes_are_removed_and_living_ones_kept(server: StandIns) -> None:
    server.runtime_dir.mkdir(mode=0o700)
    dead, living = server.runtime_dir / "stt-0.1.jobs", server.runtime_dir / "stt-7.1.jobs"
    with socket.socket(socket.AF_UNIX) as ended, socket.socket(socket.AF_UNIX) as other:
        ended.bind(str(dead))
        ended.listen()
        ended.close()
        other.bind(str(living))
        other.listen()
        process = server.up()
        read_until(process, "Ready")
        assert living.exists()
        assert not dead.exists()
        process.terminate()
        wait_until_ended(server, process)


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal of Linux")
def test_programs_end_when_up_is_killed_and_the_next_up_waits_for_that(server: StandIns) -> None:
    first = server.up()
    read_until(first, "Ready")
    programs = [pid for _, pid in server.started()]
    first.kill()
    first.wait()
    second = server.up()
    read_until(second, "Ready")
    assert not any(is_running(pid) for pid in programs)
    second.terminate()
    wait_until_ended(server, second)
    first.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal of Linux")
def test_programs_end_when_the_supervisor_is_killed(server: StandIns) -> None:
    process = server.up()
    read_until(process, "Ready")
    (supervisor,) = children(process.pid)
    os.kill(supervisor, signal.SIGKILL)
    output = wait_until_ended(server, process, killed=True)
    assert "the supervisor ended" in output
    assert process.returncode == 2
