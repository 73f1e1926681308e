"""The gaps that a listener hears in replies, on audio that arrives at given times."""

import re
from pathlib import Path

import pytest

from bench.reply_gaps import JITTER_BUFFER_MS, Arrival, ArrivalClock, gaps_ms

CHUNK_S = 0.04


def arrivals(*times_s: float) -> list[Arrival]:
    return [Arrival(at_s, CHUNK_S) for at_s in times_s]


@pytest.mark.parametrize(
    ("times_s", "unbuffered_ms", "buffered_ms"),
    [
        ((10.0, 10.04, 10.08), [], []),
        ((10.0, 10.06, 10.08), [20], []),  # the buffer hides what is late by less
        ((10.0, 10.15), [110], [110]),  # begun at 10.06, dry at 10.1, the rest waits until 10.21
        ((10.0, 10.0, 10.15, 10.16), [70], [80]),  # full at once; full again at 10.16
    ],
)
def test_a_gap_lasts_until_the_buffer_is_full_or_has_waited(
    times_s: tuple[float, ...], unbuffered_ms: list[float], buffered_ms: list[float]
):
    assert gaps_ms(arrivals(*times_s)) == pytest.approx(unbuffered_ms)
    assert gaps_ms(arrivals(*times_s), JITTER_BUFFER_MS) == pytest.approx(buffered_ms)


def test_a_pause_is_no_gap_before_and_after_a_flush():
    clock = ArrivalClock()
    clock.received("i1", 0.5, 10.0)
    clock.pause(10.25)
    clock.received("i1", 0.5, 11.0)
    clock.flush(11.5)
    clock.received("i2", 0.5, 12.0)
    clock.pause(12.25)
    clock.play_on(13.0)
    clock.received("i2", 0.5, 13.25)
    clock.received("i2", 0.5, 14.5)
    assert gaps_ms(clock.arrivals["i1"]) == []
    assert gaps_ms(clock.arrivals["i2"]) == pytest.approx([750])


def test_a_reply_behind_another_one_begins_when_that_has_been_played():
    clock = ArrivalClock()
    clock.received("i1", 1.0, 10.0)
    clock.received("i2", 0.2, 10.1)
    clock.received("i2", 0.2, 11.1)
    assert gaps_ms(clock.arrivals["i2"]) == []


def test_the_buffer_is_the_least_of_the_page():
    page = (Path(__file__).parents[2] / "web" / "src" / "jitter.js").read_text(encoding="utf-8")
    [least_ms] = re.findall(r"\bMIN_JITTER_MS = (\d+);", page)
    assert float(least_ms) == JITTER_BUFFER_MS
