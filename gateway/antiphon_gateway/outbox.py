"""What is sent to one session's client: bounded, in order, numbered, one reader at a time.

Every message has a number, 1 for the first of the session. For a client that can resume, what was
sent is kept until it is acknowledged: another connection can go on after the last one received.

Policy when full: the client reads too slowly to be served and is disconnected. Before that, while
more than a second of audio waits, no more audio is handed out. Of what was sent, the oldest is
forgotten first; a client that lacks it cannot resume.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

MAX_BYTES = 2 * 1024 * 1024
MAX_MESSAGES = 4_096
BEHIND_BYTES = 96 * 1024
"""1.5 s of the widest form of audio, base64 of PCM16 at 24 kHz. Half of it ends the waiting."""
MAX_KEPT_BYTES = 1024 * 1024
MAX_KEPT_MESSAGES = 2_048


class Outbox:
    """A bounded queue of text and binary messages."""

    def __init__(self, *, keeps: bool = False) -> None:
        """`keeps`: hold on to what was sent until it is acknowledged."""
        self._keeps = keeps
        self._waiting: deque[str | bytes] = deque()
        self._waiting_bytes = 0
        self._kept: deque[str | bytes] = deque()
        self._kept_bytes = 0
        self._sent = 0
        self._close: tuple[int, str] | None = None
        self._feed: Feed | None = None
        self.behind = False
        """Whether the client takes what is sent more slowly than it is made."""
        self.tell_of_room: Callable[[], None] = lambda: None
        """Called when `behind` ends."""
        self.tell_of_close: Callable[[], None] = lambda: None
        self.close_asked = asyncio.Event()
        """Set by the first `close`."""

    @property
    def sent(self) -> int:
        """Number of the last message that was handed to a connection."""
        return self._sent

    def put(self, message: str | bytes) -> bool:
        """Add a message. False: the outbox was full, and what waited in it is dropped."""
        size = self._waiting_bytes + len(message)
        if size > MAX_BYTES or len(self._waiting) >= MAX_MESSAGES:
            self._waiting.clear()
            self._waiting_bytes = 0
            return False
        self._waiting.append(message)
        self._waiting_bytes = size
        self.behind = self.behind or size > BEHIND_BYTES
        self._wake()
        return True

    def acknowledge(self, number: int) -> None:
        """Forget what was sent up to this message: the client has it."""
        while self._kept and self._sent - len(self._kept) < number:
            self._forget_oldest()

    def rewind(self, received: int) -> bool:
        """Send again what follows this message; False when that is not kept or was never sent."""
        missing = self._sent - received
        if not 0 <= missing <= len(self._kept):
            return False
        for _ in range(missing):
            message = self._kept.pop()
            self._waiting.appendleft(message)
            self._waiting_bytes += len(message)
        self._kept.clear()
        self._kept_bytes = 0
        self._sent = received
        self.behind = self._waiting_bytes > BEHIND_BYTES
        self._wake()
        return True

    def unacknowledged(self) -> tuple[int, tuple[str | bytes, ...]]:
        """Return all messages that the client may lack, and the number of the last one."""
        return self._sent + len(self._waiting), (*self._kept, *self._waiting)

    def restore(self, number: int, messages: Sequence[str | bytes]) -> None:
        """Hold what another gateway's outbox held; the last message has this number."""
        self._sent = number
        self._kept.extend(messages)
        self._kept_bytes = sum(len(message) for message in messages)

    def skip_to(self, received: int) -> None:
        """The client has more than this outbox knows: count on from there."""
        if received > self._sent:
            self._sent = received
            self._kept.clear()
            self._kept_bytes = 0

    def attach(self) -> "Feed":
        """Give what waits to a new connection; the one before is told that it is no more."""
        before, self._feed = self._feed, Feed(self)
        if before is not None:
            before.supersede()
        return self._feed

    def detach(self, feed: "Feed") -> None:
        """The connection is gone; nothing is handed out until the next `attach`."""
        if self._feed is feed:
            self._feed = None

    def forget(self) -> None:
        """Hold nothing any more, nor what is sent later: the session is over."""
        self._keeps = False
        self._waiting.clear()
        self._waiting_bytes = 0
        self._kept.clear()
        self._kept_bytes = 0

    def close(self, code: int, reason: str) -> None:
        """Ask the sender to close once it has sent what waits; the first call counts."""
        if self._close is not None:
            return
        self._close = (code, reason)
        self._wake()
        self.close_asked.set()
        if self._feed is not None:
            self._feed.tell_of_close()
        self.tell_of_close()

    @property
    def closing(self) -> tuple[int, str] | None:
        """The close code and reason asked for."""
        return self._close

    def take(self) -> str | bytes | None:
        """Return the next message, which counts as sent; None when none waits."""
        if not self._waiting:
            return None
        message = self._waiting.popleft()
        self._waiting_bytes -= len(message)
        self._sent += 1
        if self._keeps:
            self._kept.append(message)
            self._kept_bytes += len(message)
            while self._kept_bytes > MAX_KEPT_BYTES or len(self._kept) > MAX_KEPT_MESSAGES:
                self._forget_oldest()
        if self.behind and self._waiting_bytes <= BEHIND_BYTES // 2:
            self.behind = False
            self.tell_of_room()
        return message

    def _forget_oldest(self) -> None:
        self._kept_bytes -= len(self._kept.popleft())

    def _wake(self) -> None:
        if self._feed is not None:
            self._feed.changed.set()


class Feed:
    """One connection's end of an outbox."""

    TAKEN_OVER = (4001, "the session goes on at another connection")

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._superseded = False
        self.changed = asyncio.Event()
        self.tell_of_close: Callable[[], None] = lambda: None

    @property
    def closing(self) -> tuple[int, str] | None:
        """The close code and reason of this connection, once it is to be closed."""
        return self.TAKEN_OVER if self._superseded else self._outbox.closing

    @property
    def superseded(self) -> bool:
        """Whether another connection has the session now."""
        return self._superseded

    def supersede(self) -> None:
        """Another connection took the session over."""
        self._superseded = True
        self.changed.set()
        self.tell_of_close()

    def on_close(self, tell: Callable[[], None]) -> None:
        """Have `tell` called when the connection is to be closed, or now if it is."""
        self.tell_of_close = tell
        if self.closing is not None:
            tell()

    async def get(self) -> str | bytes | None:
        """Wait for the next message; None when the connection is to be closed."""
        while True:
            if self._superseded:
                return None
            if (message := self._outbox.take()) is not None:
                return message
            if self.closing is not None:
                return None
            self.changed.clear()
            await self.changed.wait()
