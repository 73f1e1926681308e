"""Clients that read what they asked for slowly, or not at all."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from system import GATEWAY, SIMULATED, System, running_system

pytestmark = pytest.mark.integration

FILE = "onnxruntime-web/1.30.0/ort-wasm-simd-threaded.wasm"
FILE_BYTES = 16 * 1024 * 1024
"""More than all buffers hold."""


@contextmanager
def server_of_files(directory: Path, **limits: float) -> Iterator[System]:
    """Run a gateway alone, with a file to serve."""
    name, _, file = FILE.split("/")
    path = directory / name / file
    path.parent.mkdir()
    path.write_bytes(bytes(FILE_BYTES))
    settings = {
        **SIMULATED,
        "turn_taking.detector": "loudness",
        "models.cache_dir": directory,
        **{f"gateway.{limit}": value for limit, value in limits.items()},
    }
    with running_system(settings, workers={}) as server:
        server.wait_for(lambda: server.get("/healthz") is not None, 20)
        yield server
        server.assert_no_traceback()


@contextmanager
def asking(server: System, path: str) -> Iterator[tuple[socket.socket, bytes]]:
    """Ask for a path; give the connection, of which little waits unread, and what was sent."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode()
    with socket.socket() as connection:
        connection.settimeout(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(request)
        yield connection, request


def ask_without_end(connection: socket.socket, request: bytes) -> None:
    """Send a request again and again, until nothing more is taken."""
    while True:
        connection.sendall(request * 100)


def read_to_the_end(connection: socket.socket) -> None:
    """Read and forget."""
    while connection.recv(1 << 20):
        pass


def open_files(server: System) -> list[str]:
    """Return the paths of the files that the gateway has open (Linux)."""
    descriptors = Path(f"/proc/{server.pid(GATEWAY)}/fd")
    return [os.readlink(each) for each in descriptors.iterdir() if each.is_symlink()]


def test_a_file_is_sent_to_its_end_over_a_slow_network(tmp_path: Path) -> None:
    with (
        server_of_files(tmp_path, handshake_timeout_s=1.0) as server,
        asking(server, f"/models/{FILE}") as (connection, _),
    ):
        received, slow_until_s = 0, time.monotonic() + 4
        while received < FILE_BYTES and (part := connection.recv(1 << 20)):
            received += len(part)
            if time.monotonic() < slow_until_s:
                time.sleep(0.05)  # reading slowly is what is tested
        assert received >= FILE_BYTES


def test_who_reads_nothing_of_a_file_or_of_many_short_answers_is_cut_off(tmp_path: Path) -> None:
    with (
        server_of_files(tmp_path, unread_timeout_s=2.0, handshake_timeout_s=1.0) as server,
        asking(server, f"/models/{FILE}") as (of_file, _),
        asking(server, "/healthz") as (of_many, request),
    ):
        of_many.settimeout(0.5)
        with pytest.raises(TimeoutError):
            ask_without_end(of_many, request)
        server.wait_for(lambda: server.log(GATEWAY).count("it does not read its answer") == 2, 15)
        for connection in (of_file, of_many):
            connection.settimeout(10)
            with pytest.raises(ConnectionResetError):
                read_to_the_end(connection)
        assert not [path for path in open_files(server) if path.startswith(str(tmp_path))]
