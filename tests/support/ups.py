"""Servers that `antiphon up` runs, under its supervisor, as a person starts them."""

import contextlib
import shutil
import signal
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ports import free_port

from antiphon_proto.config import child_environment

ANTIPHON = Path(sysconfig.get_path("scripts")) / "antiphon"
_STOP_S = 60.0


class Up(NamedTuple):
    """A running one, and the flags that name it."""

    port: int
    flags: list[str]

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def realtime_url(self) -> str:
        """Where the sessions are."""
        return f"ws://127.0.0.1:{self.port}/v1/realtime"


@contextlib.contextmanager
def up(*arguments: str, **environment: str) -> Iterator[Up]:
    """Start one, wait until it is ready, and stop it after the block."""
    directory = Path(tempfile.mkdtemp(prefix="antiphon-"))
    port = free_port()
    flags = ["--set", f"bus.runtime_dir={directory}", "--set", f"gateway.port={port}"]
    with subprocess.Popen(
        [ANTIPHON, "up", *arguments, *flags],
        env=child_environment(**environment),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        try:
            assert any("Ready" in line for line in process.stdout), "it ended before it was ready"
            yield Up(port, flags)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=_STOP_S)
            shutil.rmtree(directory, ignore_errors=True)
