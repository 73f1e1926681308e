"""Where sound begins and ends, on made signals and on recordings of people."""

import csv
from pathlib import Path

import numpy as np
import pytest

from antiphon.sound import first_audible_sample, speech_end_ms
from antiphon_proto.audio import float_to_pcm16, read_wav

CLIPS = Path(__file__).parent.parent / "data" / "speech"
MANIFEST = list(csv.DictReader((CLIPS / "manifest.csv").read_text().splitlines()))
RATE = 16_000


def tone(ms: int, level: float = 0.3) -> np.ndarray:
    time = np.arange(RATE * ms // 1000) / RATE
    return (level * np.sin(2 * np.pi * 200 * time)).astype(np.float32)


def noise(ms: int, level: float = 0.001) -> np.ndarray:
    generator = np.random.default_rng(7)
    return (level * generator.standard_normal(RATE * ms // 1000)).astype(np.float32)


def test_the_end_is_where_the_sound_falls_back_into_the_noise():
    pcm = float_to_pcm16(np.concatenate([noise(300), tone(500), noise(900)]))
    assert speech_end_ms(pcm, RATE) == pytest.approx(800, abs=10)


def test_a_click_after_the_speech_does_not_move_the_end():
    pcm = float_to_pcm16(np.concatenate([tone(500), noise(400), tone(20), noise(400)]))
    assert speech_end_ms(pcm, RATE) == pytest.approx(500, abs=10)


def test_a_short_pause_is_not_the_end():
    pcm = float_to_pcm16(np.concatenate([tone(500), noise(400), tone(300), noise(400)]))
    assert speech_end_ms(pcm, RATE) == pytest.approx(1200, abs=10)


def test_speech_up_to_the_last_sample_ends_with_the_recording():
    assert speech_end_ms(float_to_pcm16(tone(500)), RATE) == pytest.approx(500)


def test_silence_has_no_end_of_speech():
    assert speech_end_ms(bytes(RATE * 2), RATE) is None
    assert speech_end_ms(b"", RATE) is None


@pytest.mark.parametrize("clip", MANIFEST, ids=lambda clip: clip["file"])
def test_the_end_found_in_recordings_of_people_is_near_that_of_voice_activity(clip):
    pcm, rate = read_wav(CLIPS / clip["file"])
    found_ms = speech_end_ms(pcm, rate)
    assert found_ms == pytest.approx(float(clip["vad_end"]) * 1000, abs=500)


def test_the_first_audible_sample_is_the_first_above_the_threshold():
    samples = np.concatenate([noise(10, 0.0005), tone(10)])
    index = first_audible_sample(float_to_pcm16(samples))
    assert index is not None
    assert 160 <= index <= 165


def test_near_silence_has_no_audible_sample():
    assert first_audible_sample(float_to_pcm16(noise(100, 0.0005))) is None
    assert first_audible_sample(b"") is None
