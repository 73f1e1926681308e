"""Sounds and scripts of the turn-taking measurement, on fixed inputs."""

import numpy as np
import pytest

from antiphon_proto.errors import ConfigurationError
from bench.clips import DEFAULT_CLIPS
from bench.turns.material import is_request, read_material
from bench.turns.plans import SCENARIOS, plan
from bench.turns.sound import (
    RATE_HZ,
    Sound,
    Word,
    at_snr,
    joined,
    level_dbfs,
    longest_pause_ms,
    pauses,
    with_pause,
)

from .turns_records import sound

DATA = DEFAULT_CLIPS.parent
MATERIAL = read_material(DEFAULT_CLIPS, DATA / "backchannels", DATA / "coughs", DATA / "nonspeech")


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


def test_pauses_of_a_tenth_of_a_second_are_found_above_the_noise_of_the_room():
    spoken = tone(0.5, 0.1).samples
    short, long = (np.zeros(RATE_HZ * ms // 1000, np.float32) for ms in (90, 300))
    samples = np.concatenate([spoken, short, spoken, long, spoken])
    room = np.random.default_rng(1).standard_normal(len(samples)).astype(np.float32)
    for noise in (0.0, 0.006):
        speech = Sound("x", samples + np.float32(noise) * room, 250.0, 1890.0)
        [found] = pauses(speech)
        assert found == pytest.approx((1090, 1390), abs=15)
    assert pauses(Sound("x", samples, 500.0, 500.0)) == []


def test_the_end_of_a_pause_that_was_put_in_is_found():
    whole = sound(2.0, "turn on the lamp")
    hushed = whole._replace(samples=np.concatenate([whole.samples, np.zeros(RATE_HZ, np.float32)]))
    [(start_ms, end_ms)] = pauses(with_pause(hushed, 2, 600.0, seed=1))
    assert start_ms == pytest.approx(1000, abs=90)
    assert end_ms - start_ms == pytest.approx(600, abs=30)


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


def test_coughs_are_as_loud_as_speech_in_silence_and_over_replies():
    trials = plan("cough", MATERIAL, 1, 4)
    assert [trial.over_reply for trial in trials] == [False, True, False, True]
    for trial in trials:
        assert trial.sound is not None
        level = level_dbfs(trial.sound.samples)
        assert level == pytest.approx(MATERIAL.speech_dbfs, abs=0.1)


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
        read_material(DEFAULT_CLIPS, tmp_path, tmp_path, tmp_path)
