"""Tells a running supervisor what to run, and asks what runs."""

import contextlib
import http.client
import os
import signal
import socket
import xmlrpc.client
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import msgspec

from antiphon import programs, rendered
from antiphon.placement import Deployment
from antiphon.process_state import ProcessState
from antiphon_proto.config import Config, to_toml

CALL_TIMEOUT_S = 2.0
CONFIGURATION_NAME = "supervisord.conf"

_FAILURES = (OSError, http.client.HTTPException, xmlrpc.client.Error, ExpatError)
_ENDED = ("STOPPED", "EXITED", "FATAL", "UNKNOWN")


class SupervisorLink(ABC):
    """The supervisor of one runtime directory, started by whichever process."""

    def __init__(self, directory: Path, bin_dir: Path) -> None:
        self._directory = directory
        self._bin_dir = bin_dir

    def configure(self, config: Config, deployment: Deployment) -> None:
        """Write down what is to run; the supervisor reads it at its start and at `follow`."""
        settings = self._directory / programs.SETTINGS_NAME
        write_private(settings, to_toml(config, secrets=True))
        workers = msgspec.json.encode(deployment).decode()
        write_private(self._directory / programs.WORKERS_NAME, workers)

    @abstractmethod
    def processes(self) -> Mapping[str, ProcessState]:
        """Return the processes by name; empty while the supervisor does not answer."""

    @abstractmethod
    def follow(self, deployment: Deployment) -> None:
        """Have what was written with `configure` run: it starts what is new, and asks what is not
        wanted any more to finish and end. Called again until `processes` are those."""


class SupervisordLink(SupervisorLink):
    """The well-known one."""

    def configure(self, config: Config, deployment: Deployment) -> None:
        """Render its configuration too."""
        super().configure(config, deployment)
        flags = ("--config", str(self._directory / programs.SETTINGS_NAME))
        text = rendered.supervisord(config, deployment, self._directory, self._bin_dir, flags)
        write_private(self._directory / CONFIGURATION_NAME, text)

    def processes(self) -> Mapping[str, ProcessState]:
        """Ask through its socket."""
        return {str(info["name"]): _state(info) for info in self._infos()}

    def follow(self, deployment: Deployment) -> None:
        """Add and remove groups; each of our programs is one."""
        states = {str(info["name"]): str(info["statename"]) for info in self._infos()}
        running = {name: state for name, state in states.items() if _is_worker(name)}
        wanted = {worker.name for worker in deployment.workers}
        with contextlib.suppress(*_FAILURES), self._server() as server:
            [[_, changed, _]] = server.supervisor.reloadConfig()
            # A name that is wanted again may still be that of a worker that was told to go.
            told = {name for name, state in running.items() if state in ("STOPPING", "STOPPED")}
            going = told | (running.keys() - wanted) | (running.keys() & set(changed))
            for name in sorted(wanted - running.keys()):
                server.supervisor.addProcessGroup(name)
            for name in sorted(going):
                if running[name] in _ENDED:
                    server.supervisor.removeProcessGroup(name)
                elif running[name] != "STOPPING":
                    server.supervisor.stopProcess(name, False)

    def _infos(self) -> list[dict[str, object]]:
        with contextlib.suppress(*_FAILURES), self._server() as server:
            answer = server.supervisor.getAllProcessInfo()
            return answer if isinstance(answer, list) else []
        return []

    @contextlib.contextmanager
    def _server(self) -> Iterator[Any]:
        transport = _UnixTransport(self._directory / programs.SOCKET_NAME)
        try:
            yield xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        finally:
            transport.close()


class BuiltinLink(SupervisorLink):
    """Ours, `antiphon.builtin_supervisor`."""

    def processes(self) -> Mapping[str, ProcessState]:
        """Read what it wrote last."""
        try:
            text = (self._directory / programs.STATE_NAME).read_bytes()
        except FileNotFoundError:
            return {}
        return {state.name: state for state in msgspec.json.decode(text, type=list[ProcessState])}

    def follow(self, deployment: Deployment) -> None:
        """Have it read the file of the workers again."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self._directory / programs.PID_NAME).read_text())
            os.kill(pid, signal.SIGHUP)


LINKS: Mapping[str, type[SupervisorLink]] = {
    "supervisord": SupervisordLink,
    "builtin": BuiltinLink,
}


def read_deployment(directory: Path) -> Deployment:
    """Return what runs, or is meant to, under the supervisor of a directory."""
    return msgspec.json.decode((directory / programs.WORKERS_NAME).read_bytes(), type=Deployment)


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner may read."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    new.replace(path)


def _is_worker(name: str) -> bool:
    return not name.startswith((programs.GATEWAY, programs.DISPATCHER))


def _state(info: Mapping[str, object]) -> ProcessState:
    return ProcessState(
        name=str(info["name"]),
        running=info["statename"] in ("STARTING", "RUNNING", "STOPPING"),
        pid=int(str(info["pid"])),
        started=float(str(info["start"])),
        exit_code=int(str(info["exitstatus"])),
    )


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
