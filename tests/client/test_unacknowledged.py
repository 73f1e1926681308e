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
