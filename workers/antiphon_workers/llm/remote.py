"""What the engines share whose model runs in another server: waiting, and answers said again."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import TypeVar
from urllib.parse import urlsplit

from antiphon_proto.conversation import ChatMessage
from antiphon_proto.errors import JobFailed

T = TypeVar("T")

TICK_S = 1.0
"""A server that loads a model or reads a long prompt is silent; the worker is not stuck then."""
STALL_S = 20.0
"""Silence within an answer after which the server is taken to be gone."""
CONNECT_S = 5.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def is_here(url: str) -> bool:
    """Tell whether a server is on this machine."""
    return urlsplit(url).hostname in _LOOPBACK


def begun_answer(messages: list[ChatMessage]) -> str:
    """Return the answer that is to be continued; empty when a new one is wanted."""
    last = messages[-1]
    return last.content if last.role == "assistant" and not last.calls else ""


async def once(made: Awaitable[T]) -> AsyncGenerator[T, None]:
    """Yield the one result of `made`."""
    yield await made


async def with_ticks(chunks: AsyncGenerator[T, None]) -> AsyncGenerator[T | None, None]:
    """Yield what `chunks` yields, and None after each `TICK_S` of silence.

    Closing it closes `chunks` at once, also while that waits for the network.
    Raises JobFailed when the server says nothing for `STALL_S` after it began to answer.
    """
    silent_s, begun = 0.0, False
    async with aclosing(chunks):
        following: asyncio.Future[T] | None = None
        try:
            while True:
                if following is None:
                    following = asyncio.ensure_future(anext(chunks))
                done, _ = await asyncio.wait([following], timeout=TICK_S)
                if done:
                    arrived, following = following, None
                    try:
                        chunk = arrived.result()
                    except StopAsyncIteration:
                        return
                    silent_s, begun = 0.0, True
                    yield chunk
                else:
                    silent_s += TICK_S
                    if begun and silent_s >= STALL_S:
                        raise JobFailed(
                            "llm_server_stalled",
                            f"the language model's server said nothing for {STALL_S:.0f} s",
                            retryable=True,
                        )
                    yield None
        finally:
            if following is not None:
                following.cancel()
                await asyncio.wait([following])
                # Retrieved, or asyncio reports it as forgotten.
                if not following.cancelled():
                    following.exception()


class Continuation:
    """The part of an answer that is new, when the server was given its beginning. Pure.

    Most servers go on where the beginning stops; some say it again first.
    """

    def __init__(self, begun: str) -> None:
        self._begun = begun.rstrip()
        self._skip_space = begun[-1:].isspace()
        self._held = ""
        self._is_new = not self._begun

    def feed(self, delta: str) -> str:
        """Return what is new for sure."""
        if not self._is_new:
            self._held += delta
            said = self._held.lstrip()
            if len(said) < len(self._begun) and self._begun.startswith(said):
                return ""
            self._is_new = True
            delta = said[len(self._begun) :] if said.startswith(self._begun) else self._held
        if self._skip_space:
            delta = delta.lstrip()
            self._skip_space = not delta
        return delta

    def finish(self) -> str:
        """Return what was held back because it might have been said before."""
        return "" if self._is_new else self._held
