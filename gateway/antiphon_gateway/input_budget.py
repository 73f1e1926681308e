"""Input that was received and not handled yet: one bound for the whole server.

A message may have 16 MiB, and a client may leave any number of them unfinished. What all clients
together have pending is counted where bytes arrive, between the transport and aiohttp's protocol.
Policy when there is too much: the client with the most pending is dropped.
"""

import asyncio
from collections.abc import Callable

MAX_PENDING_BYTES = 64 * 1024 * 1024


class InputBudget:
    """The pending input of all clients together."""

    def __init__(self, limit_bytes: int = MAX_PENDING_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._accounts: set[InputAccount] = set()
        self.pending_bytes = 0

    def open(self, drop: Callable[[], None]) -> "InputAccount":
        """Begin to count for one client; `drop` is called when it has to go."""
        account = InputAccount(self, drop)
        self._accounts.add(account)
        return account

    def add(self, account: "InputAccount", change_bytes: int) -> None:
        """Change what an account has pending."""
        account.pending_bytes += change_bytes
        self.pending_bytes += change_bytes
        if self.pending_bytes > self._limit_bytes:
            largest = max(self._accounts, key=lambda each: each.pending_bytes)
            largest.dropped = True
            largest.close()
            largest.drop()

    def forget(self, account: "InputAccount") -> None:
        """Count an account no more."""
        self.pending_bytes -= account.pending_bytes
        account.pending_bytes = 0
        self._accounts.discard(account)


class InputAccount:
    """The pending input of one client."""

    def __init__(self, budget: InputBudget, drop: Callable[[], None]) -> None:
        self._budget = budget
        self._closed = False
        self.drop = drop
        self.pending_bytes = 0
        self.dropped = False
        """Nothing more of it is to be received."""

    def received(self, size_bytes: int) -> None:
        """Count bytes from the network."""
        if not self._closed:
            self._budget.add(self, size_bytes)

    def handled(self, message: str | bytes) -> None:
        """Count a message that is done with, as long as it was on the wire.

        The headers of a message in several pieces are not known here and stay counted: 14 bytes for
        each further piece of, usually, 128 KiB.
        """
        if self._closed:
            return
        size = len(message)
        if isinstance(message, str) and not message.isascii():
            size = len(message.encode("utf-8"))
        size += 6 if size < 126 else 8 if size < 65_536 else 14
        self._budget.add(self, -min(size, self.pending_bytes))

    def close(self) -> None:
        """Count no more; may be called again."""
        self._closed = True
        self._budget.forget(self)


class MeteredProtocol(asyncio.Protocol):
    """Stands between a transport and its protocol and counts what arrives."""

    def __init__(
        self,
        inner: asyncio.Protocol,
        account: InputAccount,
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        """`tell` is called whenever something arrives."""
        self._inner = inner
        self._account = account
        self._tell = tell

    def data_received(self, data: bytes) -> None:
        """Count and pass on; what a dropped client still sends goes nowhere."""
        self._account.received(len(data))
        self._tell()
        if not self._account.dropped:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on."""
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on."""
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self._inner.resume_writing()
