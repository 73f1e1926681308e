"""Playout: audio leaves just ahead of the listener, and what was heard is known."""

import pytest

from antiphon_gateway.playout import Playout
from antiphon_gateway.spoken_text import SpokenText

RATE = 24_000
SECOND = bytes(2 * RATE)


def playout() -> Playout:
    return Playout(RATE, lead_ms=400, unreported_lead_ms=1_000)


def test_audio_is_sent_at_most_one_lead_ahead_of_the_sent_audio_clock() -> None:
    audio = playout()
    audio.add(SECOND * 3)
    assert len(audio.take(0)) == len(SECOND)
    assert audio.take(0) == b""
    assert audio.next_due_ms(0) == 0
    assert len(audio.take(500)) == pytest.approx(len(SECOND) / 2, abs=2 * RATE // 20)


def test_nothing_is_due_when_nothing_is_queued() -> None:
    assert playout().next_due_ms(0) is None


def test_a_reporting_client_gets_the_shorter_lead() -> None:
    audio = playout()
    audio.add(SECOND * 3)
    audio.take(0)
    audio.report(played_ms=100, now_ms=300)
    assert audio.take(300) == b""
    assert audio.next_due_ms(300) == 300 + 900 - 400


def test_what_was_sent_is_heard_in_real_time_unless_the_client_says_otherwise() -> None:
    audio = playout()
    audio.add(SECOND)
    audio.take(0)
    assert audio.heard_samples(250) == RATE // 4
    audio.report(played_ms=100, now_ms=250)
    assert audio.heard_samples(250) == RATE // 10
    assert audio.heard_samples(5_000) == RATE


def test_a_gap_in_the_audio_stops_the_clock() -> None:
    audio = playout()
    audio.add(SECOND[: RATE // 5])
    audio.take(0)
    audio.add(SECOND)
    audio.take(10_000)
    assert audio.heard_samples(10_000) == RATE // 10


def test_dropped_audio_is_never_sent() -> None:
    audio = playout()
    audio.add(SECOND * 3)
    audio.take(0)
    audio.drop()
    assert audio.next_due_ms(9_000) is None
    assert audio.take(9_000) == b""
    assert audio.heard_samples(9_000) == RATE


def spoken() -> SpokenText:
    text = SpokenText(RATE)
    text.begin_clause("One two three. ")
    text.add_samples(1_500)
    text.end_clause()
    text.begin_clause("Four five.")
    text.add_samples(1_000)
    text.end_clause()
    return text


@pytest.mark.parametrize(
    ("played", "heard"),
    [
        (0, ""),
        (1, ""),
        (200, "One"),
        (1_500, "One two three."),
        (1_501, "One two three."),
        (1_900, "One two three. Four"),
        (2_500, "One two three. Four five."),
        (99_999, "One two three. Four five."),
    ],
)
def test_heard_text_is_cut_at_the_word_that_was_half_played(played: int, heard: str) -> None:
    assert spoken().heard(played) == heard


def lead_after_reports(way_ms: float) -> float:
    """Return the client's lead after 4 s over a network of this delay, each way."""
    audio = playout()
    audio.add(SECOND * 60)
    arrivals: list[tuple[float, float]] = []  # when, how much of the item is there then
    reports: list[tuple[float, float, float]] = []  # when it arrives, played, buffered
    for now_ms in range(0, 4_000, 20):
        if audio.take(now_ms):
            arrivals.append((now_ms + way_ms, audio.sent_samples * 1000 / RATE))
        there_ms = max((length for at, length in arrivals if at <= now_ms), default=0.0)
        played_ms = min(there_ms, max(0.0, now_ms - way_ms))
        if now_ms % 100 == 0:
            reports.append((now_ms + way_ms, played_ms, there_ms - played_ms))
        for at, played, buffered in [report for report in reports if report[0] == now_ms]:
            audio.report(played, at, buffered)
    return there_ms - played_ms


def test_a_slow_network_gets_a_longer_lead() -> None:
    assert lead_after_reports(0) == pytest.approx(400, abs=60)
    assert lead_after_reports(160) > 300


def test_what_a_client_says_of_its_buffer_cannot_raise_the_lead_without_end() -> None:
    audio = playout()
    audio.add(SECOND * 60)
    for now_ms in range(0, 20_000, 100):
        audio.take(now_ms)
        audio.report(played_ms=max(0, now_ms - 2_000), now_ms=now_ms, buffered_ms=0)
    assert audio.lead_ms(20_000) <= 400 + 600 + 2_000
