"""How many sessions or requests are open: in all, of one address, of one key. Pure."""

from collections import Counter
from typing import Literal, NamedTuple

from antiphon_gateway.callers import is_loopback
from antiphon_proto.config import Gateway

RETRY_AFTER_S = 5

Cause = Literal["foreign", "key", "draining", "full", "address", "key_sessions", "overloaded"]


class Refusal(NamedTuple):
    """Why a client gets no session or answer."""

    status: int
    cause: Cause
    message: str
    retry_after_s: int | None = None
    position: int | None = None
    """Its place, from 1, among those that wait for a free one."""


class Limits(NamedTuple):
    """How many places there are; 0 of an address or of a key: no limit."""

    in_all: int
    of_address: int
    of_key: int
    noun: str = "sessions"


def of_sessions(gateway: Gateway) -> Limits:
    """Return the limits of Realtime sessions."""
    return Limits(
        gateway.max_sessions, gateway.max_sessions_per_address, gateway.max_sessions_per_key
    )


def of_requests(gateway: Gateway) -> Limits:
    """Return the limits of requests that workers serve."""
    of_each = gateway.max_requests_per_client
    return Limits(gateway.max_requests, of_each, of_each, "requests")


class Seat(NamedTuple):
    """The place of one session or request."""

    address: str
    key: str


class Seats:
    """The places of all that is open of one kind."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken = 0
        self._of_address: Counter[str] = Counter()
        self._of_key: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many are open."""
        return self._taken

    def take(self, address: str, key: str, *, kept: int = 0) -> Seat | Refusal:
        """Take a place for a client of this address that presents this key, empty for none.

        `kept` of the free places are for others.
        """
        in_all, most, most_of_key, noun = self._limits
        if self._taken + kept >= in_all:
            return Refusal(503, "full", f"{in_all} {noun} are open", RETRY_AFTER_S)
        if most and not is_loopback(address) and self._of_address[address] >= most:
            text = f"{most} {noun} of this address are open"
            return Refusal(429, "address", text, RETRY_AFTER_S)
        if most_of_key and key and self._of_key[key] >= most_of_key:
            text = f"{most_of_key} {noun} of this key are open"
            return Refusal(429, "key_sessions", text, RETRY_AFTER_S)
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
