"""Who gets a session or an answer: the checks in their order, and the place taken. Pure."""

from collections import Counter
from collections.abc import Callable, Collection

from antiphon_gateway.admission import WINDOW_MS
from antiphon_gateway.callers import Caller
from antiphon_gateway.listeners import Listeners
from antiphon_gateway.seats import (
    RETRY_AFTER_S,
    Refusal,
    Seat,
    Seats,
    of_requests,
    of_sessions,
)
from antiphon_gateway.security import Handshake, Verdict
from antiphon_gateway.tickets import Tickets
from antiphon_gateway.waiting_list import WaitingList
from antiphon_proto.config import Gateway, Lan
from antiphon_proto.messages import Stage

BusyStages = Callable[[], frozenset[Stage]]
FIRST_RETRY_AFTER_S = 1
"""For the first who waits: the next free place is kept for it."""
BUSY_RETRY_AFTER_S = WINDOW_MS // 1000
_NO_LAN = Lan()


class Door:
    """Lets clients in while there is room, and counts whom it does not."""

    def __init__(self, gateway: Gateway, busy: BusyStages = frozenset, lan: Lan = _NO_LAN) -> None:
        """Raise ConfigurationError when the configuration would let strangers in.

        `busy` returns the stages that are too busy for another session.
        """
        self.busy = busy
        self.gatekeeper = Listeners(gateway, lan)
        self.seats = Seats(of_sessions(gateway))
        self.requests = Seats(of_requests(gateway))
        self.waiting = WaitingList(gateway.max_sessions_per_address)
        self.tickets = Tickets()
        self.tell_of_entry: Callable[[], None] = lambda: None
        """Called when somebody was let in."""
        self.tell_of_overload: Callable[[], None] = lambda: None
        """Called when a busy stage kept somebody out; not when `busy` is only read."""
        self.draining = False
        """Nobody is let in any more."""
        self.refused: Counter[str] = Counter()
        """Handshakes refused, by cause."""

    def enter(
        self, handshake: Handshake, caller: Caller, now_s: float, *, waiter: str = ""
    ) -> tuple[Verdict, Seat] | Refusal:
        """Return what was found out about the client and its place, or why it gets none.

        `now_s` is Unix time. A short-lived key is used up only when there is a place. `waiter` is
        what the client calls itself while it waits for one.
        """
        verdict = self.gatekeeper.judge(handshake, lambda key: self.tickets.find(key, now_s))
        place = self._judge(verdict, caller, waiter, now_s)
        if isinstance(place, Refusal):
            self.refused[place.cause] += 1
            return place
        self.waiting.leave(waiter)
        self.tickets.spend(verdict.spent)
        self.tell_of_entry()
        return verdict, place

    def reenter(self, handshake: Handshake) -> Refusal | None:
        """Return why a client that has a session may not connect to it again; its token is its key.

        It has its place already, and a busy stage is no reason: it was let in.
        """
        refusal: Refusal | None = None
        if foreign := self.gatekeeper.foreign(handshake):
            refusal = Refusal(foreign.status, "foreign", foreign.reason)
        elif self.draining:
            refusal = Refusal(503, "draining", "the server is stopping", RETRY_AFTER_S)
        if refusal is not None:
            self.refused[refusal.cause] += 1
        return refusal

    def take_back(self, caller: Caller) -> Seat | Refusal:
        """Return the place of a session that another gateway has left, or why there is none."""
        place = self.seats.take(caller.address, "")
        if isinstance(place, Refusal):
            self.refused[place.cause] += 1
        return place

    def look(
        self, handshake: Handshake, caller: Caller, now_s: float, *, waiter: str = ""
    ) -> Refusal | None:
        """Return why a client would get no session now; nothing is taken, spent or counted."""
        verdict = self.gatekeeper.judge(handshake, lambda key: self.tickets.find(key, now_s))
        place = self._judge(verdict, caller, waiter, now_s)
        if isinstance(place, Refusal):
            return place
        self.seats.leave(place)
        return None

    def admit(
        self, handshake: Handshake, caller: Caller, stages: Collection[Stage]
    ) -> Seat | Refusal:
        """Return the place in `requests` of one request that needs these stages, or why none.

        Only a lasting key counts: a short-lived one opens a session.
        """
        verdict = self.gatekeeper.judge(handshake)
        if refusal := self._refusal(verdict, self.busy() & frozenset(stages)):
            return refusal
        return self.requests.take(caller.address, verdict.key)

    def _judge(self, verdict: Verdict, caller: Caller, waiter: str, now_s: float) -> Seat | Refusal:
        if refusal := self._refusal(verdict, self.busy()):
            return refusal
        kept = self.waiting.ahead_of(waiter, now_s)
        place = self.seats.take(caller.address, verdict.key, kept=kept)
        if isinstance(place, Seat) or place.cause != "full" or not waiter:
            return place
        position = self.waiting.join(waiter, caller.address, now_s)
        retry_after_s = FIRST_RETRY_AFTER_S if position == 1 else RETRY_AFTER_S
        return place._replace(position=position, retry_after_s=retry_after_s)

    def _refusal(self, verdict: Verdict, busy: Collection[Stage]) -> Refusal | None:
        if not verdict.allowed:
            return Refusal(
                verdict.status, "key" if verdict.status == 401 else "foreign", verdict.reason
            )
        if self.draining:
            return Refusal(503, "draining", "the server is stopping", RETRY_AFTER_S)
        if busy:
            self.tell_of_overload()
            text = f"{' and '.join(sorted(busy))} too busy for another session or request"
            return Refusal(503, "overloaded", text, BUSY_RETRY_AFTER_S)
        return None
