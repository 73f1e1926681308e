"""Whoever changes what a running server runs does it alone."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from antiphon_proto.errors import StartupError

LOCK_NAME = "change.lock"


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Hold the server of a runtime directory for one change, until the block or the process ends.

    Raises StartupError while another process holds it.
    """
    with (directory / LOCK_NAME).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StartupError(
                f"another antiphon scale or antiphon models use changes the server in {directory}; "
                "wait until it ends"
            ) from exc
        yield
