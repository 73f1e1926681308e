"""The simulated listener: what it has played at a given time."""

from antiphon.playout_clock import PlayoutClock, Position


def test_nothing_is_reported_before_the_first_audio():
    clock = PlayoutClock()
    assert clock.report(1.0) is None
    assert clock.position(1.0) is None


def test_audio_plays_from_its_arrival_in_real_time():
    clock = PlayoutClock()
    clock.received("a", 1.0, now_s=10.0)
    assert clock.report(10.25) == Position("a", 250, 750)
    assert clock.end_s == 11.0


def test_the_end_is_reported_once():
    clock = PlayoutClock()
    clock.received("a", 1.0, now_s=10.0)
    assert clock.report(11.5) == Position("a", 1000, 0)
    assert clock.report(11.6) is None


def test_later_audio_plays_behind_earlier_audio_and_adds_up_within_an_item():
    clock = PlayoutClock()
    clock.received("a", 0.4, now_s=10.0)
    clock.received("a", 0.4, now_s=10.1)
    assert clock.report(10.5) == Position("a", 500, 300)


def test_a_gap_in_the_audio_is_not_played():
    clock = PlayoutClock()
    clock.received("a", 0.2, now_s=10.0)
    clock.received("a", 0.2, now_s=11.0)
    assert clock.report(11.1) == Position("a", 300, 100)


def test_the_next_item_counts_from_zero():
    clock = PlayoutClock()
    clock.received("a", 0.2, now_s=10.0)
    clock.received("b", 0.2, now_s=10.0)
    assert clock.report(10.1) == Position("a", 100, 300)
    assert clock.report(10.3) == Position("b", 100, 100)


def test_flushing_cuts_off_what_was_not_played_and_tells_where():
    clock = PlayoutClock()
    clock.received("a", 2.0, now_s=10.0)
    assert clock.flush(10.5) == Position("a", 500, 1500)
    assert clock.end_s == 10.5
    assert clock.report(10.6) is None
    assert clock.flush(10.6) is None


def test_audio_after_a_flush_plays_at_once():
    clock = PlayoutClock()
    clock.received("a", 2.0, now_s=10.0)
    clock.flush(10.5)
    clock.received("b", 1.0, now_s=11.0)
    assert clock.report(11.25) == Position("b", 250, 750)


def test_a_pause_plays_nothing_and_skips_nothing():
    clock = PlayoutClock()
    clock.received("a", 1.0, now_s=10.0)
    clock.pause(10.25)
    assert clock.report(12.0) == Position("a", 250, 750)
    clock.received("a", 0.5, now_s=12.0)
    clock.play_on(13.0)
    assert clock.report(13.25) == Position("a", 500, 1000)
    assert clock.end_s == 14.25
    assert clock.report(14.5) == Position("a", 1500, 0)


def test_a_flush_in_a_pause_cuts_where_it_paused_and_ends_it():
    clock = PlayoutClock()
    clock.received("a", 1.0, now_s=10.0)
    clock.pause(10.25)
    assert clock.flush(11.5) == Position("a", 250, 750)
    clock.received("b", 1.0, now_s=12.0)
    assert clock.position(12.5) == Position("b", 500, 500)
