"""Reading what a request brings, within bounds of size, time and memory."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import msgspec
from aiohttp import web

from antiphon_gateway.neighbours.refusals import RequestRefused
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.validation import check_free_form
from antiphon_gateway.seats import RETRY_AFTER_S

MAX_JSON_BYTES = 1024 * 1024
JSON_TIMEOUT_S = 10.0
MEMORY_BYTES = 192 * 1024 * 1024
"""Uploaded files and the audio in them, of all requests together."""


class Memory:
    """How much the requests of all clients hold."""

    def __init__(self, limit_bytes: int = MEMORY_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self.held_bytes = 0

    @contextmanager
    def share(self) -> Iterator["MemoryShare"]:
        """Give one request its share; what it holds is free again after the block."""
        share = MemoryShare(self)
        try:
            yield share
        finally:
            self.held_bytes -= share.held_bytes

    def take(self, count: int) -> None:
        """Hold so many bytes more. Raises RequestRefused when there is no room."""
        if self.held_bytes + count > self._limit_bytes:
            text = f"uploads of all clients hold {self._limit_bytes >> 20} MiB"
            raise RequestRefused(503, text, code="overloaded", retry_after_s=RETRY_AFTER_S)
        self.held_bytes += count


class MemoryShare:
    """What one request holds."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.held_bytes = 0

    def take(self, count: int) -> None:
        """Hold so many bytes more. Raises RequestRefused when there is no room."""
        self._memory.take(count)
        self.held_bytes += count


@asynccontextmanager
async def patience(seconds: float) -> AsyncIterator[None]:
    """Give a client so long to send; raises RequestRefused after that."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as exc:
        text = f"the body did not arrive within {seconds:g} s"
        raise RequestRefused(408, text, code="timeout") from exc


async def read_json(request: web.Request) -> Any:
    """Return the decoded body. Raises RequestRefused or InvalidEvent when it is no small JSON."""
    body = bytearray()
    async with patience(JSON_TIMEOUT_S):
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > MAX_JSON_BYTES:
                text = f"the body has more than {MAX_JSON_BYTES} bytes"
                raise RequestRefused(413, text, code="body_too_large")
    try:
        raw = msgspec.json.decode(bytes(body))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise InvalidEvent("invalid_json", "the body is not JSON in UTF-8") from exc
    if not isinstance(raw, dict):
        raise InvalidEvent("invalid_value", "the body is not a JSON object")
    check_free_form(raw, "body")
    return raw
