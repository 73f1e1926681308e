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

from antiphon import topology
from antiphon_proto.channel import Bus
from antiphon_proto.config import Gateway
from antiphon_proto.errors import StartupError

LOCK_NAME = "up.lock"
TAKE_OVER_WAIT_S = topology.STOP_WAIT_S + 10
"""How long a server whose `antiphon up` was killed may take to end."""
_POLL_S = 0.2


@contextlib.contextmanager
def claimed(directory: Path, stopping: Callable[[], bool]) -> Iterator[int]:
    """Hold the directory for one server, with its old logs removed; yields the lock's descriptor.

    The lock is held until every process that inherited the descriptor has ended. Raises
    StartupError when another server uses the directory or it cannot be private.
    """
    with Bus(directory) as bus:
        bus.endpoint(f"{topology.SOCKET_NAME}.{os.getpid()}")  # the longest path used here
    with (directory / LOCK_NAME).open("a+") as lock:
        _lock(lock, directory, stopping)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        logs = directory / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        for old in logs.glob("*.log*"):
            old.unlink(missing_ok=True)
        (directory / topology.SOCKET_NAME).unlink(missing_ok=True)
        yield lock.fileno()


def owner(directory: Path) -> int | None:
    """Return the process that holds the directory, None when nobody does."""
    with contextlib.suppress(OSError), (directory / LOCK_NAME).open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _pid(lock)
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


def _lock(lock: IO[str], directory: Path, stopping: Callable[[], bool]) -> None:
    """Take the lock, waiting for a server that has lost its `antiphon up` and is ending."""
    deadline = time.monotonic() + TAKE_OVER_WAIT_S
    told = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return
        pid = _pid(lock)
        if _exists(pid) or time.monotonic() > deadline or stopping():
            raise StartupError(
                f"another antiphon (process {pid}) runs in {directory}; stop it, or give this one "
                "its own directory and port: "
                "antiphon up --port 8081 --set bus.runtime_dir=/tmp/antiphon-second"
            )
        if not told:
            print("Waiting for the previous server to end")
            told = True
        time.sleep(_POLL_S)


def _pid(lock: IO[str]) -> int:
    lock.seek(0)
    text = lock.read().strip()
    return int(text) if text.isdigit() else 0


def _exists(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
