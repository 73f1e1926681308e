"""The parts of the turn-taking measurement, on fixed inputs."""

import json

import numpy as np
import pytest

from antiphon.connection import Audio
from antiphon_proto.audio import float_to_pcm16
from antiphon_proto.errors import ConfigurationError
from bench.clips import DEFAULT_CLIPS
from bench.turns.figures import Figure, Goal, rate, wilson
from bench.turns.heard import HistoryError, history_error, words_heard
from bench.turns.listener import DUCKED_GAIN, Listener, gaps_ms, pcm_of, played_ms
from bench.turns.material import is_request, read_material
from bench.turns.plans import SCENARIOS, plan
from bench.turns.report import Outcome, ScenarioOutcome, as_json, as_text
from bench.turns.sound import (
    RATE_HZ,
    Sound,
    Word,
    at_snr,
    joined,
    level_dbfs,
    longest_pause_ms,
    with_pause,
)
from bench.turns.warping import HOP_MS, matched
from bench.turns.word_timer import shared_out

from .turns_records import sound

DATA = DEFAULT_CLIPS.parent
MATERIAL = read_material(DEFAULT_CLIPS, DATA / "backchannels", DATA / "nonspeech")


# --- figures -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (1, 60, 0.003, 0.0886)],
)
def test_the_interval_of_a_rate_is_wilsons(hits: int, n: int, low: float, high: float):
    assert wilson(hits, n) == pytest.approx((low, high), abs=1e-3)


def test_a_rate_of_nothing_has_no_value():
    assert rate("x", []).value is None
    with pytest.raises(ValueError, match="at least one"):
        wilson(0, 0)


def test_a_goal_is_met_or_missed():
    assert rate("x", [True, False], Goal(at_most=50)).passed
    assert rate("x", [True, False], Goal(at_least=95)).passed is False
    assert Figure("x", 5.0, "ms", 1).passed is None


def test_the_table_puts_each_figure_beside_its_goal():
    figures = [rate("cut-in", [True, False], Goal(at_most=5)), Figure("gap", None, "ms", 0)]
    scenario = ScenarioOutcome("question", figures, [{"name": "a"}], ["b.wav: silent"], 2, 9.0)
    outcome = Outcome(7, [scenario], [0.1, 0.2])
    text = as_text(outcome)
    assert "question: 1 trials in 9 s, 1 without a result, 2 not begun" in text
    [row] = [line for line in text.splitlines() if "cut-in" in line]
    assert " ".join(row.split()) == "cut-in 50.0 % 2 9 to 91 % <= 5 % FAIL"
    document = json.loads(json.dumps(as_json(outcome), allow_nan=False))
    figure = document["scenarios"]["question"]["figures"]["cut-in"]
    assert (figure["value"], figure["goal"], figure["passed"]) == (50.0, {"at_most": 5}, False)
    assert not Outcome(7, [], []).measured


# --- sounds --------------------------------------------------------------------------------


def tone(seconds: float, level: float) -> Sound:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    samples = (level * np.sin(2 * np.pi * 200 * times)).astype(np.float32)
    return Sound("tone", samples, 0.0, seconds * 1000)


def test_noise_is_set_below_speech_by_the_ratio_asked_for():
    noise = np.random.default_rng(1).standard_normal(RATE_HZ).astype(np.float32)
    assert level_dbfs(at_snr(noise, -26.0, 10.0)) == pytest.approx(-36.0, abs=0.1)


def test_pauses_do_not_lower_the_level():
    one = tone(1.0, 0.1).samples
    paused = np.concatenate([one, np.zeros(RATE_HZ, np.float32), one])
    assert level_dbfs(paused) == pytest.approx(level_dbfs(one), abs=0.1)
    assert level_dbfs(np.zeros(RATE_HZ, np.float32)) < -100


def test_the_longest_pause_is_found():
    parts = [tone(0.5, 0.1).samples, np.zeros(RATE_HZ * 3 // 10, np.float32)]
    samples = np.concatenate([*parts, parts[0]])
    assert longest_pause_ms(Sound("x", samples, 0.0, 1300.0)) == pytest.approx(300, abs=20)


def test_a_pause_is_put_between_two_words():
    whole = sound(2.0, "turn on the lamp")
    paused = with_pause(whole, 2, 600.0, seed=1)
    assert len(paused.samples) - len(whole.samples) == RATE_HZ * 6 // 10
    assert paused.end_ms == whole.end_ms + 600
    assert [word.start_ms for word in paused.words] == [0, 500, 1600, 2100]
    assert with_pause(whole, 2, 600.0, seed=1).samples.tobytes() == paused.samples.tobytes()
    with pytest.raises(ValueError, match="cannot be cut after 4 of 4 words"):
        with_pause(whole, 4, 600.0, seed=1)


def test_the_cut_is_made_where_it_is_quiet():
    samples = tone(2.0, 0.3).samples.copy()
    quiet = round(1.04 * RATE_HZ)
    samples[quiet - 160 : quiet + 160] = 0
    words = (Word(0, 1000, "one"), Word(1000, 2000, "two"))
    paused = with_pause(Sound("x", samples, 0, 2000, "one two", words), 1, 500.0, seed=1)
    put_in = paused.samples[round(1.05 * RATE_HZ) : round(1.52 * RATE_HZ)]
    assert np.abs(np.corrcoef(put_in, samples[: len(put_in)])[0, 1]) < 0.1
    assert paused.samples[: round(1.02 * RATE_HZ)].tobytes() == (
        samples[: round(1.02 * RATE_HZ)].tobytes()
    )


def test_clips_are_joined_with_their_words():
    one = sound(1.0, "turn on")
    speech = joined([one, one._replace(start_ms=500.0)], [200.0, 300.0])
    assert speech.end_ms == 1700
    assert speech.transcript == "turn on turn on"
    assert [word.start_ms for word in speech.words] == [0, 500, 700, 1200]


# --- the script ----------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_same_seed_gives_the_same_trials(scenario: str):
    one, other = (plan(scenario, MATERIAL, 3, 2) for _ in range(2))
    assert [(t.name, t.after_ms, t.echo) for t in one] == [
        (t.name, t.after_ms, t.echo) for t in other
    ]
    for trial, again in zip(one, other, strict=True):
        if trial.sound is not None and again.sound is not None:
            assert trial.sound.samples.tobytes() == again.sound.samples.tobytes()


def test_a_longer_script_begins_as_the_shorter_one_and_another_seed_is_another():
    names = [trial.name for trial in plan("hesitation", MATERIAL, 1, 6)]
    assert [trial.name for trial in plan("hesitation", MATERIAL, 1, 3)] == names[:3]
    assert [trial.name for trial in plan("hesitation", MATERIAL, 2, 6)] != names


def test_noises_come_in_silence_and_over_replies_and_at_every_ratio():
    trials = plan("noise", MATERIAL, 1, 6)
    assert {trial.over_reply for trial in trials} == {True, False}
    assert {name.split(" at ")[1].split(" dB")[0] for name in (t.name for t in trials)} == {
        "20",
        "10",
        "5",
    }
    assert any("babble" in trial.name for trial in trials)


def test_a_scenario_without_sounds_is_refused():
    bare = MATERIAL._replace(clips=(sound()._replace(words=()),))
    with pytest.raises(ConfigurationError, match="no clips of three words"):
        plan("hesitation", bare, 1, 1)


def test_the_clips_of_the_repository_serve_every_scenario():
    assert len(MATERIAL.cuttable) >= 8
    assert len(MATERIAL.paused) >= 3
    assert len(MATERIAL.backchannels) >= 6
    for clip in MATERIAL.timed:
        assert clip.words[0].start_ms >= clip.start_ms
        assert clip.words[-1].end_ms <= clip.end_ms


@pytest.mark.parametrize(
    ("text", "asks"),
    [("what time is it", True), ("i want a coffee", True), ("i have none", False), ("", False)],
)
def test_requests_are_told_by_their_first_words(text: str, asks: bool):
    assert is_request(text) is asks


def test_a_directory_without_sounds_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="holds no WAV file"):
        read_material(DEFAULT_CLIPS, tmp_path, tmp_path)


# --- the listener --------------------------------------------------------------------------


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
    assert gaps_ms(listener.pieces, "r1") == pytest.approx([300])


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
    listener.ducked = True
    assert listener.heard(10.5, 320).max() == pytest.approx(0.5 * DUCKED_GAIN, abs=1e-3)


# --- heard words ---------------------------------------------------------------------------

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
