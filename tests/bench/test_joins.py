"""Words and pitch at joins, counted on sounds and texts that are known."""

import numpy as np
import pytest

from bench.joins import errors_near_joins, largest_step
from bench.pitch import semitones_apart

RATE_HZ = 22_050


def buzz(hz: float) -> np.ndarray:
    time = np.arange(RATE_HZ) / RATE_HZ
    return sum(np.sin(2 * np.pi * hz * part * time) / part for part in (1, 2, 3)).astype(np.float32)


def test_only_words_beside_a_join_count() -> None:
    text = "one two three four five six seven eight"
    assert errors_near_joins(text, text, [4]) == (0, 4)
    assert errors_near_joins(text, "one two three five six seven ate", [4]) == (1, 4)
    assert errors_near_joins(text, "won two three four five six seven eight", [4]) == (0, 4)
    assert errors_near_joins(text, "", [1]) == (3, 3)


def test_the_largest_step_is_looked_for_at_joins_alone() -> None:
    pcm = np.array([0, 900, 30, -70, -70, 5], "<i2").tobytes()
    assert largest_step(pcm, [3, 4]) == 100
    assert largest_step(pcm, [4]) == 0
    assert largest_step(pcm, [0, 6]) == 0


@pytest.mark.parametrize("after", [True, False])
def test_the_pitch_of_two_places_is_compared_in_semitones(after: bool) -> None:
    low, high = (buzz(110), RATE_HZ, RATE_HZ // 2), (buzz(220), RATE_HZ, RATE_HZ // 2)
    assert semitones_apart(low, high, after=after) == pytest.approx(12, abs=0.3)
    assert semitones_apart(low, low, after=after) == 0.0


def test_a_place_that_is_not_voiced_has_no_pitch() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, RATE_HZ).astype(np.float32)
    place = (noise, RATE_HZ, RATE_HZ // 2)
    assert semitones_apart(place, (buzz(110), RATE_HZ, RATE_HZ // 2), after=True) is None
