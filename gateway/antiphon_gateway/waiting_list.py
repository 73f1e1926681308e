"""Who waits for a place in a full server, in the order of their coming. Pure.

A client that was refused names itself and asks again; as long as it does, places that get free are
kept for it and those before it. Policy when full: whoever comes then is not listed and gets a place
when nobody listed waits.
"""

import re
from collections import Counter
from typing import NamedTuple

MAX_WAITING = 64
FORGOTTEN_AFTER_S = 15.0
"""Three times the pause between two questions."""
NAME = re.compile(r"[A-Za-z0-9_-]{8,64}")


class _Waiter(NamedTuple):
    address: str
    asked_s: float


class WaitingList:
    """The clients that wait."""

    def __init__(self, most_of_address: int) -> None:
        """`most_of_address`: so many of one address are listed, as may have sessions; 0: all."""
        self._most_of_address = most_of_address
        self._waiting: dict[str, _Waiter] = {}

    def ahead_of(self, name: str, now_s: float) -> int:
        """Return how many come before a client; all, when it is not listed."""
        self._forget(now_s)
        names = list(self._waiting)
        return names.index(name) if name in self._waiting else len(names)

    def join(self, name: str, address: str, now_s: float) -> int | None:
        """List a client behind all others, or note that it still waits; return its place from 1.

        None when it cannot be listed.
        """
        self._forget(now_s)
        if name not in self._waiting and not self._has_room(name, address):
            return None
        self._waiting[name] = _Waiter(address, now_s)
        return list(self._waiting).index(name) + 1

    def leave(self, name: str) -> None:
        """A client has its place."""
        self._waiting.pop(name, None)

    def _has_room(self, name: str, address: str) -> bool:
        of_address = Counter(waiter.address for waiter in self._waiting.values())
        crowded = 0 < self._most_of_address <= of_address[address]
        return bool(NAME.fullmatch(name)) and len(self._waiting) < MAX_WAITING and not crowded

    def _forget(self, now_s: float) -> None:
        late = [
            name
            for name, waiter in self._waiting.items()
            if now_s - waiter.asked_s > FORGOTTEN_AFTER_S
        ]
        for name in late:
            del self._waiting[name]
