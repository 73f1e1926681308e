"""Ports for the servers of tests."""

import contextlib
import functools
import os
import random
import socket
from collections.abc import Iterator

__all__ = ["BLOCK", "free_port"]

BLOCK = 16
"""So many ports from a free one on are its finder's: several gateways count up from it."""
_LOWEST, _HIGHEST = 10_000, 32_000  # below what systems give to outgoing connections
_REFUSED_BY_BROWSERS = 10_080
"""The one of them that Chromium opens no page at (ERR_UNSAFE_PORT)."""


def free_port() -> int:
    """Return a port that nobody listens on, with `BLOCK` - 1 more behind it.

    Each is returned once, and processes of one test run never return the same.
    """
    return next(port for port in _blocks() if all(map(_is_usable, range(port, port + BLOCK))))


@functools.cache
def _blocks() -> Iterator[int]:
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    index = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = range(_LOWEST + index * BLOCK, _HIGHEST, count * BLOCK)
    return iter(random.sample(own, len(own)))


def _is_usable(port: int) -> bool:
    if port == _REFUSED_BY_BROWSERS:
        return False
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return True
    return False
