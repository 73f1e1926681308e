"""Trimming silence from streamed speech."""

import numpy as np
import pytest

from antiphon_proto.audio import Samples
from antiphon_workers.tts.silence import SilenceTrimmer

RATE_HZ = 1_000


def silence(milliseconds: int) -> Samples:
    return np.full(milliseconds, 1e-4, np.float32)


def sound(milliseconds: int) -> Samples:
    return np.full(milliseconds, 0.5, np.float32)


def trimmed(stream: Samples, part_samples: int) -> Samples:
    trimmer = SilenceTrimmer(RATE_HZ, lead_ms=20, longest_ms=400, trail_ms=100)
    parts = [
        trimmer.feed(stream[start : start + part_samples])
        for start in range(0, len(stream), part_samples)
    ]
    return np.concatenate([*parts, trimmer.end()])


@pytest.mark.parametrize("part_samples", [1, 7, 64, 10_000])
def test_leading_and_trailing_silence_is_shortened(part_samples: int) -> None:
    stream = np.concatenate([silence(300), sound(50), silence(500)])
    expected = np.concatenate([silence(20), sound(50), silence(100)])
    np.testing.assert_array_equal(trimmed(stream, part_samples), expected)


@pytest.mark.parametrize("part_samples", [1, 7, 64, 10_000])
def test_a_pause_inside_is_kept_up_to_the_longest(part_samples: int) -> None:
    kept = np.concatenate([sound(50), silence(350), sound(50)])
    np.testing.assert_array_equal(trimmed(kept, part_samples), kept)
    long = np.concatenate([sound(50), silence(900), sound(50)])
    assert len(trimmed(long, 64)) == 50 + 400 + 50


@pytest.mark.parametrize("part_samples", [1, 64, 10_000])
def test_short_silence_is_left_alone(part_samples: int) -> None:
    stream = np.concatenate([silence(10), sound(50), silence(60)])
    np.testing.assert_array_equal(trimmed(stream, part_samples), stream)


def test_silence_alone_gives_nothing() -> None:
    assert trimmed(silence(1_000), 64).size == 0


def test_sound_is_not_held_back() -> None:
    trimmer = SilenceTrimmer(RATE_HZ, lead_ms=20, longest_ms=400, trail_ms=100)
    assert len(trimmer.feed(np.concatenate([silence(5), sound(50)]))) == 55
