"""Who waits for a place: in the order of their coming, for as long as they ask."""

from antiphon_gateway.callers import Caller
from antiphon_gateway.door import Door
from antiphon_gateway.seats import Refusal, Seat
from antiphon_gateway.security import Handshake
from antiphon_gateway.waiting_list import FORGOTTEN_AFTER_S, MAX_WAITING, WaitingList
from antiphon_proto.config import Gateway

HERE = Caller("127.0.0.1", is_local=True)
PLAIN = Handshake("localhost", False, None, "")
ANN, BEN, CY = "ann-ann-ann", "ben-ben-ben", "cy-cy-cy-cy"


def enter(door: Door, now_s: float, waiter: str = "") -> Seat | Refusal:
    entry = door.enter(PLAIN, HERE, now_s, waiter=waiter)
    return entry if isinstance(entry, Refusal) else entry[1]


def seat(door: Door, now_s: float, waiter: str = "") -> Seat:
    place = enter(door, now_s, waiter)
    assert isinstance(place, Seat)
    return place


def position(door: Door, now_s: float, waiter: str = "") -> int | None:
    place = enter(door, now_s, waiter)
    assert isinstance(place, Refusal)
    assert (place.status, place.cause) == (503, "full")
    return place.position


def test_places_go_to_those_who_wait_in_the_order_of_their_coming() -> None:
    door = Door(Gateway(max_sessions=1))
    taken = seat(door, 0.0)
    assert [position(door, 1.0, ANN), position(door, 2.0, BEN), position(door, 3.0)] == [1, 2, None]
    door.seats.leave(taken)
    assert position(door, 4.0) is None
    assert position(door, 4.0, BEN) == 2
    taken = seat(door, 5.0, ANN)
    assert position(door, 6.0, CY) == 2
    door.seats.leave(taken)
    door.seats.leave(seat(door, 7.0, BEN))
    door.seats.leave(seat(door, 8.0, CY))
    door.seats.leave(seat(door, 9.0))


def test_a_second_free_place_is_for_the_second_who_waits() -> None:
    door = Door(Gateway(max_sessions=2))
    taken = [seat(door, 0.0), seat(door, 0.0)]
    assert [position(door, 1.0, name) for name in (ANN, BEN, CY)] == [1, 2, 3]
    for place in taken:
        door.seats.leave(place)
    seat(door, 2.0, BEN)
    assert position(door, 2.0, CY) == 2
    seat(door, 3.0, ANN)


def test_who_asks_no_more_is_forgotten() -> None:
    door = Door(Gateway(max_sessions=1))
    taken = seat(door, 0.0)
    assert [position(door, 1.0, ANN), position(door, 10.0, BEN)] == [1, 2]
    assert position(door, 1.1 + FORGOTTEN_AFTER_S, BEN) == 1
    door.seats.leave(taken)
    seat(door, 2 * FORGOTTEN_AFTER_S + 20.0)


def test_looking_keeps_a_place_in_line_and_takes_none() -> None:
    door = Door(Gateway(max_sessions=1))
    taken = seat(door, 0.0)
    refusal = door.look(PLAIN, HERE, 1.0, waiter=ANN)
    assert refusal is not None
    assert (refusal.position, refusal.retry_after_s) == (1, 1)
    door.seats.leave(taken)
    assert position(door, 2.0) is None
    assert door.look(PLAIN, HERE, 3.0, waiter=ANN) is None
    seat(door, 3.0, ANN)


def test_the_list_is_bounded_in_all_and_for_each_address() -> None:
    waiting = WaitingList(most_of_address=2)
    assert [waiting.join(f"waiter-{n}", "10.0.0.1", 0.0) for n in range(3)] == [1, 2, None]
    assert waiting.join("waiter-0", "10.0.0.1", 1.0) == 1
    many = WaitingList(most_of_address=0)
    places = [many.join(f"waiter-{n}", "10.0.0.1", 0.0) for n in range(MAX_WAITING + 1)]
    assert places == [*range(1, MAX_WAITING + 1), None]


def test_a_name_that_is_none_is_not_listed() -> None:
    waiting = WaitingList(most_of_address=0)
    for name in ("", "short", "x" * 65, "a name with spaces", "nul\0nul\0nul"):
        assert waiting.join(name, "10.0.0.1", 0.0) is None
    assert waiting.ahead_of("newcomer", 0.0) == 0
