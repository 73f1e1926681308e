"""Streams of samples change their rate without delay, folding or loss."""

import numpy as np
import numpy.typing as npt
import pytest

from antiphon_proto.resampling import SincResampler

RATES = [
    (48_000, 16_000),
    (24_000, 16_000),
    (44_100, 16_000),
    (192_000, 16_000),
    (8_000, 16_000),
    (22_050, 24_000),
    (16_000, 24_000),
]


def tone(hz: float, rate_hz: int) -> npt.NDArray[np.float32]:
    return np.sin(2 * np.pi * hz * np.arange(rate_hz) / rate_hz).astype(np.float32)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_a_tone_keeps_its_pitch_its_length_and_its_place(from_hz: int, to_hz: int) -> None:
    made = SincResampler(from_hz, to_hz).feed(tone(1_000, from_hz), last=True)
    assert len(made) == to_hz
    assert np.abs(made - tone(1_000, to_hz))[50:-50].max() < 1e-3


@pytest.mark.parametrize(("from_hz", "to_hz"), [pair for pair in RATES if pair[0] > pair[1]])
def test_what_the_new_rate_cannot_hold_is_not_folded_into_it(from_hz: int, to_hz: int) -> None:
    made = SincResampler(from_hz, to_hz).feed(tone(0.62 * to_hz, from_hz), last=True)
    assert np.abs(made[100:-100]).max() < 1e-3


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_the_cuts_of_a_stream_change_nothing_and_little_is_held_back(
    from_hz: int, to_hz: int
) -> None:
    sound, random = tone(440, from_hz), np.random.default_rng(1)
    whole = SincResampler(from_hz, to_hz).feed(sound, last=True)
    stream, made, start = SincResampler(from_hz, to_hz), [], 0
    while start < len(sound):
        length = int(random.integers(0, 900))
        made.append(stream.feed(sound[start : start + length]))
        start = min(start + length, len(sound))
        held_back = start / from_hz - sum(len(one) for one in made) / to_hz
        assert held_back <= 0.0021
    made.append(stream.feed(np.zeros(0, np.float32), last=True))
    np.testing.assert_allclose(np.concatenate(made), whole, atol=1e-6)


def test_a_stream_without_samples_gives_none() -> None:
    stream = SincResampler(48_000, 16_000)
    assert len(stream.feed(np.zeros(0, np.float32))) == 0
    assert len(stream.feed(np.zeros(0, np.float32), last=True)) == 0
