"""What a client keeps for a resumption: everything the server may lack, within bounds."""

from antiphon.unacknowledged import MAX_KEPT_BYTES, Unacknowledged

LOUD = b"\x00\x40" * 4_800
QUIET = bytes(9_600)
RATE_HZ = 24_000


def test_the_server_gets_what_it_lacks_in_the_order_in_which_it_was_sent() -> None:
    kept = Unacknowledged()
    kept.add_event("one")
    kept.add_frame(b"f0", 0, LOUD, RATE_HZ)
    kept.add_event("two")
    kept.add_frame(b"f1", 1, LOUD, RATE_HZ)
    kept.add_event("three")
    assert kept.resumed(1, 0) == ["two", b"f1", "three"]
    assert kept.resumed(2, 1) == ["three"]
    kept.add_event("four")
    assert kept.resumed(3, 1) == ["four"]


def test_a_server_that_has_nothing_gets_everything() -> None:
    kept = Unacknowledged()
    kept.add_frame(b"f0", 0, LOUD, RATE_HZ)
    kept.add_event("one")
    assert kept.resumed(0, None) == [b"f0", "one"]


def test_without_a_connection_five_seconds_are_kept_and_silence_goes_first() -> None:
    kept = Unacknowledged()
    kept.away()
    for seq in range(10):
        kept.add_frame(b"loud", seq, LOUD, RATE_HZ)
    for seq in range(10, 40):
        kept.add_frame(b"quiet", seq, QUIET, RATE_HZ)
    missing = kept.resumed(0, None)
    assert len(missing) == 25
    assert missing.count(b"loud") == 10


def test_events_are_forgotten_last() -> None:
    kept = Unacknowledged()
    kept.add_event("first")
    for seq in range(10):
        kept.add_frame(bytes(MAX_KEPT_BYTES // 4), seq, LOUD, RATE_HZ)
    missing = kept.resumed(0, None)
    assert missing[0] == "first"
    assert sum(len(message) for message in missing) <= MAX_KEPT_BYTES


def held(kept: Unacknowledged) -> list[str | bytes]:
    messages = []
    while (message := kept.next_held()) is not None:
        messages.append(message)
    return messages


def test_what_is_held_back_comes_out_once_and_in_order_behind_what_was_sent() -> None:
    kept = Unacknowledged()
    kept.add_frame(b"sent", 0, LOUD, RATE_HZ)
    kept.hold()
    kept.add_frame(b"f1", 1, LOUD, RATE_HZ)
    kept.add_event("now")
    kept.add_frame(b"f2", 2, LOUD, RATE_HZ)
    kept.acknowledge(0, 0)
    assert kept.next_held() == b"f1"
    kept.add_frame(b"f3", 3, LOUD, RATE_HZ)
    assert held(kept) == [b"f2", b"f3"]
    assert kept.holding
    kept.let_go()
    kept.add_frame(b"f4", 4, LOUD, RATE_HZ)
    assert held(kept) == []
    assert kept.resumed(1, 3) == [b"f4"]


def test_five_seconds_are_held_back_and_silence_goes_first() -> None:
    kept = Unacknowledged()
    kept.add_frame(b"sent", 0, QUIET, RATE_HZ)
    kept.hold()
    for seq in range(1, 11):
        kept.add_frame(b"loud", seq, LOUD, RATE_HZ)
    for seq in range(11, 41):
        kept.add_frame(b"quiet", seq, QUIET, RATE_HZ)
    for seq in range(41, 61):
        kept.add_frame(b"more", seq, LOUD, RATE_HZ)
    assert held(kept) == [b"loud"] * 5 + [b"more"] * 20
    assert kept.resumed(0, None)[0] == b"sent", "what was sent made room for what was not"


def test_a_connection_that_is_lost_in_a_pause_ends_it_and_keeps_five_seconds_in_all() -> None:
    kept = Unacknowledged()
    kept.hold()
    for seq in range(20):
        kept.add_frame(b"held", seq, LOUD, RATE_HZ)
    kept.away()
    assert not kept.holding
    for seq in range(20, 40):
        kept.add_frame(b"away", seq, LOUD, RATE_HZ)
    assert kept.resumed(0, None) == [b"held"] * 5 + [b"away"] * 20


def test_events_before_there_was_a_ticket_count() -> None:
    kept = Unacknowledged()
    kept.add_event("before", keep=False)
    kept.add_event("one")
    kept.acknowledge(1, None)
    assert kept.resumed(1, None) == ["one"]
