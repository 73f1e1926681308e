"""The runtime directory and the port of a server on this machine: one server each."""

import contextlib
import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from antiphon import programs
from antiphon_proto.channel import Bus
from antiphon_proto.config import Config, Gateway
from antiphon_proto.errors import StartupError

UP_LOCK_NAME = "up.lock"
"""Held by `antiphon up` alone; it also holds its process id."""
SERVER_LOCK_NAME = "server.lock"
"""Held by `antiphon up` and by supervisord, so until the last program has ended."""
TAKE_OVER_WAIT_S = programs.stop_wait_s(Config()) + 10
"""How long a server whose `antiphon up` was killed may take to end."""
_POLL_S = 0.2


@contextlib.contextmanager
def claimed(directory: Path, stopping: Callable[[], bool]) -> Iterator[int]:
    """Hold the directory for one server, with the old logs removed.

    Yields a descriptor: the directory is held until every process that inherited it has ended.
    Raises StartupError when another server uses the directory or it cannot be private.
    """
    with Bus(directory) as bus:
        bus.endpoint(f"{programs.SOCKET_NAME}.{os.getpid()}")  # the longest path used here
    with (
        (directory / UP_LOCK_NAME).open("a+") as ours,
        (directory / SERVER_LOCK_NAME).open("a+") as servers,
    ):
        if not _try_lock(ours):
            raise _in_use(directory, _pid(ours))
        ours.truncate(0)
        ours.write(f"{os.getpid()}\n")
        ours.flush()
        _wait_for_lock(servers, directory, stopping)
        logs = directory / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        for old in logs.glob("*.log*"):
            old.unlink(missing_ok=True)
        _remove_dead_sockets(directory)
        yield servers.fileno()


def owner(directory: Path) -> int | None:
    """Return the process that holds the directory, None when nobody does."""
    with contextlib.suppress(FileNotFoundError), (directory / UP_LOCK_NAME).open("r+") as lock:
        return None if _try_lock(lock) else _pid(lock)
    return None


def check_port(gateway: Gateway) -> None:
    """Raise StartupError when the gateway could not listen on its address."""
    try:
        addresses = socket.getaddrinfo(gateway.host, gateway.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in addresses:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as exc:
        raise StartupError(_port_problem(gateway, exc)) from exc


def check_lan_port(address: str, port: int) -> None:
    """Raise StartupError when the listener for the local network could not listen."""
    try:
        check_port(Gateway(host=address, port=port))
    except StartupError as exc:
        problem = str(exc).partition("; ")[0]
        raise StartupError(
            f"{problem}; choose another address or port: "
            f"antiphon up --lan --set lan.port={port + 1}"
        ) from exc


def _remove_dead_sockets(directory: Path) -> None:
    """Remove the sockets that nobody listens on: killed processes leave them behind."""
    for path in directory.iterdir():
        if path.is_socket():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                try:
                    probe.connect(str(path))
                except ConnectionRefusedError:
                    path.unlink(missing_ok=True)
                except OSError:
                    continue


def _port_problem(gateway: Gateway, exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        other = gateway.port + 1 if gateway.port < 65535 else 8080
        return (
            f"port {gateway.port} on {gateway.host} is in use by another program; "
            f"choose another: antiphon up --port {other}"
        )
    if exc.errno == errno.EACCES:
        return f"port {gateway.port} needs privileges; choose another: antiphon up --port 8080"
    return (
        f"cannot listen on host {gateway.host}: {exc.strerror}; choose an address of this machine: "
        "antiphon up --host 127.0.0.1"
    )


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_for_lock(lock: IO[str], directory: Path, stopping: Callable[[], bool]) -> None:
    """Take the lock, waiting for a server that has lost its `antiphon up` and is ending."""
    deadline = time.monotonic() + TAKE_OVER_WAIT_S
    told = False
    while not _try_lock(lock):
        if time.monotonic() > deadline or stopping():
            raise _in_use(directory, 0)
        if not told:
            print("Waiting for the previous server to end")
            told = True
        time.sleep(_POLL_S)  # a file lock cannot be awaited; no event loop runs yet


def _in_use(directory: Path, pid: int) -> StartupError:
    who = f"another antiphon (process {pid})" if pid else "another antiphon that is ending"
    return StartupError(
        f"{who} runs in {directory}; stop it, or give this one its own directory and port: "
        "antiphon up --port 8081 --set bus.runtime_dir=/tmp/antiphon-second"
    )


def _pid(lock: IO[str]) -> int:
    lock.seek(0)
    text = lock.read().strip()
    return int(text) if text.isdigit() else 0
