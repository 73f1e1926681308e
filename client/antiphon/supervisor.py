"""Starts, asks and stops the supervisor: supervisord, or our own."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import xmlrpc.client
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from xml.parsers.expat import ExpatError

import msgspec

from antiphon import topology
from antiphon.process_state import ProcessState
from antiphon_proto.config import Config, child_environment, to_toml
from antiphon_proto.errors import StartupError

CALL_TIMEOUT_S = 2.0


class Supervisor(ABC):
    """A supervisor process of our own, in a session of its own so that Ctrl-C reaches only us."""

    def __init__(self, config: Config, directory: Path, bin_dir: Path, keep_open: int) -> None:
        """Write its configuration into `directory` and start it.

        `keep_open` is a file descriptor that it holds as long as it lives.
        Raises StartupError when it or our executables are not installed.
        """
        for program in topology.programs(config):
            if not (bin_dir / program.command[0]).is_file():
                raise StartupError(f"{bin_dir / program.command[0]} is missing; run: make setup")
        self._directory = directory
        self._output = topology.log_file(directory, f"{self.name}-output")
        write_private(directory / topology.SETTINGS_NAME, to_toml(config, secrets=True))
        command = self.command(config, bin_dir)
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env=child_environment(PYTHONUNBUFFERED="1"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(keep_open,),
                start_new_session=True,
            )

    name: ClassVar[str]

    @abstractmethod
    def command(self, config: Config, bin_dir: Path) -> list[str]:
        """Return what to run. Raises StartupError when it is not installed."""

    @abstractmethod
    def processes(self) -> Mapping[str, ProcessState]:
        """Return the processes by name; empty while the supervisor does not answer."""

    @property
    def alive(self) -> bool:
        """Whether the supervisor runs."""
        return self._process.poll() is None

    def output(self) -> str:
        """Return what the supervisor itself printed: why it refused to start."""
        return self._output.read_text(errors="replace").strip()

    def terminate(self) -> None:
        """Ask every program to finish and end; see `topology.stop_wait_s`."""
        if self.alive:
            self._process.terminate()

    def hurry(self, state: ProcessState) -> None:
        """Ask a program that is stopping to stop at once; what has ended is left alone."""
        if state.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(state.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End everything at once."""
        if self.alive:
            living = self.processes()
            self._process.kill()
            self._process.wait()
            for state in living.values():
                if state.pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(state.pid, signal.SIGKILL)


class Supervisord(Supervisor):
    """The well-known one."""

    name = "supervisord"

    def command(self, config: Config, bin_dir: Path) -> list[str]:
        """Render its configuration."""
        if find_spec("supervisor") is None:
            raise StartupError(
                "package supervisor is missing; run: pip install 'supervisor>=4.3', "
                "or use the built-in one: antiphon up --supervise=builtin"
            )
        settings = self._directory / topology.SETTINGS_NAME
        rendered = self._directory / "supervisord.conf"
        write_private(rendered, topology.supervisord(config, self._directory, bin_dir, settings))
        command = [sys.executable, "-m", "antiphon.supervisor_process", str(os.getpid())]
        return [*command, "-n", "-c", str(rendered)]

    def processes(self) -> Mapping[str, ProcessState]:
        """Ask through its socket."""
        transport = _UnixTransport(self._directory / topology.SOCKET_NAME)
        server = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        try:
            answer = server.supervisor.getAllProcessInfo()
        except (OSError, http.client.HTTPException, xmlrpc.client.Error, ExpatError):
            return {}
        finally:
            transport.close()
        states = [_state(info) for info in answer] if isinstance(answer, list) else []
        return {state.name: state for state in states}


class BuiltinSupervisor(Supervisor):
    """Ours, `antiphon.builtin_supervisor`: restarts in milliseconds."""

    name = "supervisor"

    def command(self, config: Config, bin_dir: Path) -> list[str]:
        """Run it on the settings."""
        (self._directory / topology.STATE_NAME).unlink(missing_ok=True)
        command = [sys.executable, "-m", "antiphon.builtin_supervisor", str(os.getpid())]
        return [*command, str(self._directory), str(bin_dir)]

    def processes(self) -> Mapping[str, ProcessState]:
        """Read what it wrote last."""
        try:
            text = (self._directory / topology.STATE_NAME).read_bytes()
        except FileNotFoundError:
            return {}
        return {state.name: state for state in msgspec.json.decode(text, type=list[ProcessState])}


SUPERVISORS: Mapping[str, type[Supervisor]] = {
    "supervisord": Supervisord,
    "builtin": BuiltinSupervisor,
}


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path)
        # What `close` closes, also after an answer that was cut off.
        self._connection = "localhost", connection
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=CALL_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CALL_TIMEOUT_S)
        self.sock.connect(str(self._path))


def _state(info: dict[str, object]) -> ProcessState:
    return ProcessState(
        name=str(info["name"]),
        running=info["statename"] == "RUNNING",
        pid=int(str(info["pid"])),
        started=float(str(info["start"])),
        exit_code=int(str(info["exitstatus"])),
    )


def write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
