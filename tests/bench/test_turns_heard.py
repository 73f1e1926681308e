"""The listener and the words heard by it, on fixed inputs."""

import re
from pathlib import Path

import numpy as np
import pytest

from antiphon.audio_devices import DUCKED_GAIN
from antiphon.connection import Audio
from antiphon_proto.audio import float_to_pcm16
from bench.reply_gaps import gaps_ms
from bench.turns.heard import HistoryError, history_error, words_heard
from bench.turns.listener import Listener, pcm_of, played_ms
from bench.turns.sound import RATE_HZ, Word
from bench.turns.warping import HOP_MS, matched
from bench.turns.word_timer import shared_out


def heard_tone(listener: Listener, at_s: float, *, item: str = "i1", seconds: float = 1.0) -> None:
    samples = np.full(round(seconds * 8000), 0.5, np.float32)
    listener.received(item, seconds, at_s)
    listener.add(Audio("r1", item, 8000, float_to_pcm16(samples), at_s))


def test_audio_is_played_when_it_arrives_or_after_what_came_before():
    listener = Listener()
    heard_tone(listener, 10.0)
    heard_tone(listener, 10.5)
    assert [(piece.start_s, piece.end_s) for piece in listener.pieces] == [(10, 11), (11, 12)]
    assert listener.pieces[1].audible_s == 11.0
    heard_tone(listener, 12.3)
    assert gaps_ms(listener.arrivals["i1"]) == pytest.approx([300])


def test_a_flush_shortens_what_was_played_and_is_remembered():
    listener = Listener()
    heard_tone(listener, 10.0)
    heard_tone(listener, 10.5)
    listener.flush(10.7)
    assert played_ms(listener.pieces, "i1") == pytest.approx(700)
    assert listener.pieces[1].audible_s is None
    assert [(flush.item_id, flush.played_ms) for flush in listener.flushes] == [("i1", 700)]
    pcm, rate_hz = pcm_of(listener.pieces, "i1")
    assert (len(pcm), rate_hz) == (2 * 2 * 8000, 8000)
    listener.flush(11.0)
    assert len(listener.flushes) == 1


def test_an_echo_is_what_is_played_at_that_time_and_as_loud():
    listener = Listener()
    heard_tone(listener, 10.0)
    around = listener.heard(9.99, RATE_HZ // 50)
    assert around[: RATE_HZ // 100 - 1].max() == 0
    assert around[-1] == pytest.approx(0.5, abs=1e-3)
    assert listener.heard(11.5, 320).max() == 0
    listener.duck(10.4, ducked=True)
    assert listener.heard(10.5, 320).max() == pytest.approx(0.5 * DUCKED_GAIN, abs=1e-3)
    assert listener.heard(10.3, 320).max() == pytest.approx(0.5, abs=1e-3)
    listener.duck(10.6, ducked=False)
    assert listener.heard(10.7, 320).max() == pytest.approx(0.5, abs=1e-3)


def test_a_pause_has_no_echo():
    listener = Listener()
    heard_tone(listener, 10.0)
    listener.pause(10.4)
    assert listener.heard(10.3, 320).max() == pytest.approx(0.5, abs=1e-3)
    assert listener.heard(10.41, 320).max() == 0
    listener.play_on(10.6)
    assert listener.heard(10.5, 320).max() == 0
    assert listener.heard(10.7, 320).max() == pytest.approx(0.5, abs=1e-3)


WORDS = [Word(i * 400.0, (i + 1) * 400.0, text) for i, text in enumerate(["A", "b,", "c", "d."])]


def test_a_word_was_heard_when_half_of_it_was_played():
    assert [words_heard(WORDS, ms) for ms in (0, 199, 200, 1399, 1400)] == [0, 0, 1, 3, 4]


@pytest.mark.parametrize(
    ("kept", "played_ms", "error"),
    [
        ("A b,", 800.0, HistoryError(2, 2, 0, 0)),
        ("A b, c", 800.0, HistoryError(3, 2, 1, 1)),
        ("", 800.0, HistoryError(0, 2, -2, -2)),
        ("A b", 590.0, HistoryError(2, 1, 0, 1)),
        ("A b", 610.0, HistoryError(2, 2, 0, 0)),
        ("A", 610.0, HistoryError(1, 2, 0, -1)),
        ("A x", 800.0, HistoryError(2, 2, 1, 1)),
    ],
)
def test_history_is_compared_word_by_word(kept: str, played_ms: float, error: HistoryError):
    assert history_error(kept, WORDS, played_ms) == error


def test_a_reading_in_another_rhythm_is_matched_to_the_reference():
    dice = np.random.default_rng(5)
    sounds = [dice.standard_normal(RATE_HZ // 5) * (k + 1) for k in range(3)]
    shapes = [np.convolve(s, np.ones(3**k) / 3**k, "same") for k, s in enumerate(sounds)]
    reference = np.concatenate(shapes).astype(np.float32)
    slower = np.concatenate([shapes[0], shapes[1], shapes[1], shapes[2][:1600]])
    path = matched(slower.astype(np.float32), reference) * HOP_MS
    assert abs(float(np.argmax(path >= 200)) * HOP_MS - 200) <= 30
    assert abs(float(np.argmax(path >= 400)) * HOP_MS - 600) <= 30
    assert path[-1] < 560


@pytest.mark.parametrize(
    ("words", "groups", "shares"),
    [
        ([3, 4, 2], [3, 4, 2], [[3], [4], [2]]),
        ([2, 2, 5], [4, 5], [[2, 2], [5]]),
        ([3, 9], [3, 5, 4], [[3], [9], []]),
        ([], [], []),
    ],
)
def test_words_spoken_as_one_share_its_time(
    words: list[int], groups: list[int], shares: list[list[int]]
):
    assert shared_out(words, groups) == shares


def test_a_pause_is_no_gap_and_what_follows_is_played_later():
    listener = Listener()
    heard_tone(listener, 10.0)
    heard_tone(listener, 10.5)
    listener.pause(10.25)
    listener.play_on(10.75)
    spans = [(piece.start_s, piece.end_s) for piece in listener.pieces]
    assert spans == [(10.0, 10.25), (10.75, 11.5), (11.5, 12.5)]
    assert gaps_ms(listener.arrivals["i1"]) == []
    assert played_ms(listener.pieces, "i1") == pytest.approx(2_000)
    assert len(pcm_of(listener.pieces, "i1")[0]) == 2 * 2 * 8000


def test_audio_that_comes_in_a_pause_is_played_without_a_gap():
    listener = Listener()
    heard_tone(listener, 10.0, seconds=0.5)
    listener.pause(10.25)
    heard_tone(listener, 10.75)
    listener.play_on(11.25)
    spans = [(piece.start_s, piece.end_s) for piece in listener.pieces]
    assert spans == [(10.0, 10.25), (11.25, 11.5), (11.5, 12.5)]
    assert gaps_ms(listener.arrivals["i1"]) == []


def test_ducked_audio_is_as_quiet_as_the_page_plays_it():
    page = (Path(__file__).parents[2] / "web" / "src" / "audio.js").read_text(encoding="utf-8")
    [gain] = re.findall(r"\bducked: ([\d.]+), paused", page)
    assert float(gain) == DUCKED_GAIN


def test_a_reply_that_paused_and_was_cut_fell_silent_at_the_pause():
    listener = Listener()
    heard_tone(listener, 10.0)
    listener.pause(10.25)
    listener.flush(10.75)
    [flush] = listener.flushes
    assert (flush.at_s, flush.silent_s, flush.played_ms) == (10.75, 10.25, 250)
    assert played_ms(listener.pieces, "i1") == pytest.approx(250)
