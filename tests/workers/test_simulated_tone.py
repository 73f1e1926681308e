"""The tone that stands for speech."""

import numpy as np
import pytest

from antiphon_workers.tts.simulated import SAMPLE_RATE_HZ, tone


def pitch_hz(pcm: bytes) -> float:
    """Return the strongest frequency."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE_HZ / len(samples))


@pytest.mark.parametrize("wanted_hz", [440, 1_000])
def test_the_tone_has_the_pitch_that_is_set_whatever_the_job(wanted_hz: int) -> None:
    text = "twenty characters ok"
    first = tone("job-1", text, pitch_hz=wanted_hz)
    assert pitch_hz(first) == pytest.approx(wanted_hz, abs=1)
    assert first == tone("job-2", text, pitch_hz=wanted_hz)


def test_without_a_pitch_jobs_sound_different() -> None:
    assert tone("job-1", "some text") != tone("job-2", "some text")
