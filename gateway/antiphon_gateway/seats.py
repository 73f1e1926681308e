"""How many sessions are open: in all, of one address, of one key. Pure."""

from collections import Counter
from typing import Literal, NamedTuple

from antiphon_gateway.callers import is_loopback
from antiphon_proto.config import Gateway

RETRY_AFTER_S = 5

Cause = Literal["foreign", "key", "draining", "full", "address", "key_sessions", "overloaded"]


class Refusal(NamedTuple):
    """Why a client gets no session."""

    status: int
    cause: Cause
    message: str
    retry_after_s: int | None = None


class Seat(NamedTuple):
    """The place of one session."""

    address: str
    key: str


class Seats:
    """The places of all open sessions."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._taken = 0
        self._of_address: Counter[str] = Counter()
        self._of_key: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """Sessions that are open."""
        return self._taken

    def take(self, address: str, key: str) -> Seat | Refusal:
        """Take a place for a client of this address that presents this key, empty for none."""
        limits = self._gateway
        if self._taken >= limits.max_sessions:
            return Refusal(503, "full", f"{limits.max_sessions} sessions are open", RETRY_AFTER_S)
        most = limits.max_sessions_per_address
        if most and not is_loopback(address) and self._of_address[address] >= most:
            text = f"{most} sessions of this address are open"
            return Refusal(429, "address", text, RETRY_AFTER_S)
        most = limits.max_sessions_per_key
        if most and key and self._of_key[key] >= most:
            return Refusal(
                429, "key_sessions", f"{most} sessions of this key are open", RETRY_AFTER_S
            )
        self._taken += 1
        self._of_address[address] += 1
        self._of_key[key] += 1
        return Seat(address, key)

    def leave(self, seat: Seat) -> None:
        """Give a place back, once."""
        self._taken -= 1
        for counts, name in ((self._of_address, seat.address), (self._of_key, seat.key)):
            counts[name] -= 1
            if not counts[name]:
                del counts[name]
