"""Short-lived keys that open one session each. Pure: the time is passed in."""

import hashlib
import secrets

import msgspec

PREFIX = "ek_"
MAX_TICKETS = 1_024
MAX_BYTES = 16 * 1024 * 1024
"""Session settings of all tickets together, as JSON."""


class Ticket(msgspec.Struct, frozen=True):
    """What a short-lived key stands for."""

    key: str
    """Name of the key that it was made with; its session counts as one of that key."""
    expires_s: float
    session: bytes
    """The `session.update` that its session begins with, as JSON."""


class Tickets:
    """The short-lived keys that were made, not used and not expired.

    Kept by their SHA-256, so that neither the memory's content nor the time of a look-up tells a
    key. Policy when full: no other is made.
    """

    def __init__(self) -> None:
        self._tickets: dict[bytes, Ticket] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._tickets)

    def issue(self, key: str, session: bytes, now_s: float, lifetime_s: float) -> str | None:
        """Return a new key for one session; None when there are too many."""
        self._expire(now_s)
        if len(self._tickets) >= MAX_TICKETS or self._bytes + len(session) > MAX_BYTES:
            return None
        value = PREFIX + secrets.token_urlsafe(24)
        self._tickets[_digest(value)] = Ticket(key, now_s + lifetime_s, session)
        self._bytes += len(session)
        return value

    def find(self, value: str, now_s: float) -> Ticket | None:
        """Return what a key stands for, if it can still be used."""
        self._expire(now_s)
        return self._tickets.get(_digest(value))

    def spend(self, value: str) -> None:
        """Use a key up."""
        if ticket := self._tickets.pop(_digest(value), None):
            self._bytes -= len(ticket.session)

    def _expire(self, now_s: float) -> None:
        late = [digest for digest, each in self._tickets.items() if each.expires_s <= now_s]
        for digest in late:
            self._bytes -= len(self._tickets.pop(digest).session)


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).digest()
