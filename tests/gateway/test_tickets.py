"""Short-lived keys: each opens one session, for a while, and there are not too many."""

from antiphon_gateway.callers import Caller
from antiphon_gateway.door import Door
from antiphon_gateway.seats import Refusal
from antiphon_gateway.security import Handshake
from antiphon_gateway.tickets import MAX_BYTES, MAX_TICKETS, Tickets
from antiphon_proto.config import Gateway

HERE = Caller("127.0.0.1", True)


def test_a_key_is_found_until_it_is_spent_or_expires() -> None:
    tickets = Tickets()
    first, second = tickets.issue("key-0", b"1", 0.0, 10.0), tickets.issue("key-1", b"2", 0.0, 20.0)
    assert first
    assert second
    assert first.startswith("ek_")
    assert first != second
    found = tickets.find(first, 9.9)
    assert found
    assert (found.key, found.session) == ("key-0", b"1")
    assert tickets.find(first, 10.0) is None
    assert tickets.find(second, 10.0)
    tickets.spend(second)
    tickets.spend(second)
    assert tickets.find(second, 10.0) is None
    assert len(tickets) == 0
    assert tickets.find("ek_", 0.0) is None


def test_no_more_are_made_than_fit_and_expired_ones_make_room() -> None:
    tickets = Tickets()
    assert all(tickets.issue("", b"", 0.0, 10.0) for _ in range(MAX_TICKETS))
    assert tickets.issue("", b"", 9.0, 10.0) is None
    assert tickets.issue("", bytes(MAX_BYTES), 10.0, 10.0)
    assert tickets.issue("", b"x", 10.0, 10.0) is None


def bearer(key: str) -> Handshake:
    return Handshake("localhost", authorization=f"Bearer {key}")


def test_a_key_opens_one_session_and_counts_as_the_key_it_was_made_with() -> None:
    door = Door(Gateway(api_keys=("lasting",), max_sessions_per_key=2))
    lasting = door.enter(bearer("lasting"), HERE, 0.0)
    assert not isinstance(lasting, Refusal)
    made = [door.tickets.issue(lasting[0].key, b"{}", 0.0, 60.0) or "" for _ in range(2)]
    entry = door.enter(bearer(made[0]), HERE, 1.0)
    assert not isinstance(entry, Refusal)
    assert entry[0].session == b"{}"
    again = door.enter(bearer(made[0]), HERE, 1.0)
    assert isinstance(again, Refusal)
    assert again.status == 401
    one_too_many = door.enter(bearer(made[1]), HERE, 1.0)
    assert isinstance(one_too_many, Refusal)
    assert one_too_many.status == 429
    door.seats.leave(entry[1])
    assert not isinstance(door.enter(bearer(made[1]), HERE, 1.0), Refusal)
    assert door.refused == {"key": 1, "key_sessions": 1}


def test_a_key_does_not_excuse_a_foreign_origin_and_is_not_used_up_by_it() -> None:
    door = Door(Gateway(api_keys=("lasting",)))
    key = door.tickets.issue("key-0", b"", 0.0, 60.0) or ""
    foreign = Handshake("localhost", False, "https://evil.example", f"Bearer {key}")
    refusal = door.enter(foreign, HERE, 0.0)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 403
    assert not isinstance(door.enter(bearer(key), HERE, 0.0), Refusal)
