"""Reads lines from a terminal, a pipe or a file without blocking the event loop."""

import asyncio
import os
from collections.abc import AsyncIterator

MAX_LINE_BYTES = 64 * 1024
_READ_BYTES = 4096


async def lines(descriptor: int) -> AsyncIterator[str]:
    """Yield each line without its end, until end of input; nothing is read before it is wanted.

    A longer line than `MAX_LINE_BYTES` is yielded in pieces. Bytes that are not UTF-8 are replaced.
    """
    pending = b""
    while True:
        line, newline, rest = pending.partition(b"\n")
        if newline or len(pending) >= MAX_LINE_BYTES:
            pending = rest
            yield line.decode(errors="replace").rstrip("\r")
            continue
        await _readable(descriptor)
        # Unbuffered: a buffered reader may hold its lock when the interpreter exits.
        read = os.read(descriptor, _READ_BYTES)
        if not read:
            break
        pending += read
    if pending:
        yield pending.decode(errors="replace")


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:
        return  # a regular file: always readable, and epoll does not take it
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
