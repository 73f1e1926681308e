"""Playout: audio leaves just ahead of the listener, and what was heard is known."""

import math
import random
from collections import deque

import pytest

from antiphon_gateway.playout import Playout
from antiphon_gateway.round_trip import RoundTrip
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
    audio.report(played_ms=100, now_ms=300, buffered_ms=900)
    assert audio.take(300) == b""
    assert audio.next_due_ms(300) == 300 + 900 - 400


def test_what_was_sent_is_heard_in_real_time_unless_the_client_says_otherwise() -> None:
    audio = playout()
    audio.add(SECOND)
    audio.take(0)
    assert audio.heard_samples(250) == RATE // 4
    audio.report(played_ms=100, now_ms=250, buffered_ms=900)
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


class Listener:
    """A client behind a network, in virtual time: what it has of a reply, least and at the end."""

    def __init__(self, latency_ms: float, jitter_ms: float = 0.0, seed: int = 1) -> None:
        self.round_trip = RoundTrip()
        self.least_ms = math.inf
        self.lead_ms = 0.0
        self._latency_ms = latency_ms
        self._jitter_ms = jitter_ms
        self._random = random.Random(seed)

    def _arrival(self, now_ms: float, before_ms: float) -> float:
        late_ms = self._latency_ms + self._random.uniform(-self._jitter_ms, self._jitter_ms)
        return max(before_ms, now_ms + late_ms)

    def hear(self, reply_ms: int = 4_000) -> None:
        """Take one reply, all of it made at once; report every 100 ms from its first audio on."""
        audio = Playout(RATE, 400, 1_000, self.round_trip)
        audio.add(bytes(2 * RATE * reply_ms // 1000))
        arrivals: deque[tuple[float, float]] = deque()  # when, how much of the item is there then
        reports: deque[tuple[float, float, float]] = deque()  # when, played, buffered
        there_ms = played_ms = down_ms = up_ms = 0.0
        self.least_ms, reported_ms = math.inf, None
        for now_ms in range(0, 10 * reply_ms, 5):
            if audio.take(now_ms):
                down_ms = self._arrival(now_ms, down_ms)
                arrivals.append((down_ms, audio.sent_samples * 1000 / RATE))
            while arrivals and arrivals[0][0] <= now_ms:
                there_ms = arrivals.popleft()[1]
                reported_ms = now_ms if reported_ms is None else reported_ms
            if there_ms < reply_ms:
                self.lead_ms = there_ms - played_ms
                if played_ms:
                    self.least_ms = min(self.least_ms, self.lead_ms)
            if reported_ms is not None and now_ms >= reported_ms:
                up_ms, reported_ms = self._arrival(now_ms, up_ms), now_ms + 100
                reports.append((up_ms, played_ms, there_ms - played_ms))
            while reports and reports[0][0] <= now_ms:
                _, played, buffered = reports.popleft()
                audio.report(played, now_ms, buffered)
            played_ms = min(there_ms, played_ms + 5 * (there_ms > 0))
            if played_ms >= reply_ms:
                return


def test_a_slow_network_gets_a_longer_lead() -> None:
    near, far = Listener(0), Listener(160)
    near.hear()
    far.hear()
    assert near.lead_ms == pytest.approx(400, abs=60)
    assert far.lead_ms > 300


@pytest.mark.parametrize("seed", range(8))
def test_what_a_reply_taught_of_a_jittering_network_holds_for_the_next(seed: int) -> None:
    listener = Listener(100, 60, seed)
    listener.hear()
    learnt_ms = listener.round_trip.ms
    assert 120 <= learnt_ms <= 400
    for _ in range(10):
        listener.hear()
        assert listener.least_ms > 150
        assert 120 <= listener.round_trip.ms <= 400


def test_a_pause_of_the_server_teaches_nothing_of_the_network() -> None:
    audio = Playout(RATE, 400, 1_000, round_trip := RoundTrip())
    audio.add(SECOND)
    audio.take(0)
    audio.report(played_ms=0, now_ms=60, buffered_ms=1_000)
    audio.report(played_ms=900, now_ms=960, buffered_ms=100)
    assert round_trip.ms == 0
    audio.add(SECOND)
    audio.take(1_000)
    audio.report(played_ms=980, now_ms=1_040, buffered_ms=20)
    assert round_trip.ms == 40


def test_the_round_trip_rises_at_once_and_falls_slowly() -> None:
    round_trip = RoundTrip()
    round_trip.note(received_age_ms=None, missing_age_ms=240)
    assert round_trip.ms == 240
    round_trip.note(received_age_ms=300, missing_age_ms=200)
    assert round_trip.ms == 240
    round_trip.note(received_age_ms=200, missing_age_ms=None)
    assert round_trip.ms == 230


def test_what_a_client_says_of_its_buffer_cannot_raise_the_lead_without_end() -> None:
    audio = playout()
    audio.add(SECOND * 60)
    for now_ms in range(0, 20_000, 100):
        audio.take(now_ms)
        audio.report(played_ms=max(0, now_ms - 2_000), now_ms=now_ms, buffered_ms=0)
    assert audio.lead_ms(20_000) <= 400 + 500 + 2_000


def test_in_a_pause_nothing_is_heard_and_no_more_than_the_lead_is_sent() -> None:
    audio = playout()
    audio.add(SECOND * 3)
    audio.take(0)
    audio.report(played_ms=600, now_ms=600, buffered_ms=400)
    audio.pause(600, paused=True)
    for now_ms in range(600, 5_000, 100):
        audio.report(played_ms=600, now_ms=now_ms, buffered_ms=audio.sent_samples / 24 - 600)
        audio.take(now_ms)
        assert audio.heard_samples(now_ms) == 600 * RATE // 1000
        assert audio.sent_samples <= (600 + 400 + 40) * RATE // 1000
    assert audio.next_due_ms(5_000) is None
    audio.pause(5_000, paused=False)
    assert audio.heard_samples(5_300) == 900 * RATE // 1000
    assert audio.take(5_300)


def test_a_pause_that_was_told_twice_is_one() -> None:
    audio = playout()
    audio.add(SECOND)
    audio.take(0)
    audio.pause(100, paused=True)
    audio.pause(200, paused=True)
    audio.pause(1_000, paused=False)
    audio.pause(1_100, paused=False)
    assert audio.heard_samples(1_200) == 300 * RATE // 1000
    assert audio.end_ms == 1_900
