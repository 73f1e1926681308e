"""Starts a server for one measurement, in a runtime directory and on a port of its own."""

import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from antiphon import readiness
from antiphon_proto.config import Gateway
from antiphon_proto.errors import StartupError

START_LIMIT_S = 180.0
STOP_LIMIT_S = 30.0
_POLL_S = 0.2


@contextlib.contextmanager
def own_server(
    settings: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run `antiphon up` with these `SECTION.KEY=VALUE` settings; yields its address.

    `environment` stands for this process's. Raises StartupError with the server's last words when
    it does not become ready.
    """
    port = _free_port()
    with _ended_in_order(), tempfile.TemporaryDirectory(prefix="antiphon-own-") as directory:
        own = (f"gateway.port={port}", f"bus.runtime_dir={directory}/run")
        flags = [part for setting in (*settings, *own) for part in ("--set", setting)]
        log = Path(directory) / "up.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "antiphon", "up", *flags],
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        try:
            _wait_until_ready(process, port, log)
            yield f"ws://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Have SIGTERM leave the block as Ctrl-C does; else the server would outlive this process."""

    def leave(number: int, frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        answer = readiness.ask(Gateway(port=port))
        if answer and answer.ready:
            return
        time.sleep(_POLL_S)  # before any event loop runs in this process
    lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    raise StartupError(f"the server did not become ready: {lines[-1]}")
