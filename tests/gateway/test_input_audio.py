"""The microphone ring: positions never go back, memory is bounded, no sample is lost."""

import random

import numpy as np
import pytest

from antiphon_gateway.input_audio import InputAudio
from antiphon_proto.audio import Resampler, float_to_pcm16, pcm16_to_float

HELD_BACK_SAMPLES = 32
"""Half of the resampler's filter."""

DITHER = 1
"""Sums in another order: the same audio in other chunks may differ by so much of 32,768."""


def tone(hz: float, ms: int, sample_rate_hz: int) -> bytes:
    time = np.arange(ms * sample_rate_hz // 1000) / sample_rate_hz
    return float_to_pcm16(0.5 * np.sin(2 * np.pi * hz * time).astype(np.float32))


def test_audio_at_16_khz_is_kept_as_it_is() -> None:
    audio = InputAudio(max_ms=1_000)
    pcm = tone(440, 300, 16_000)
    assert audio.append(pcm, 16_000) == pcm
    assert audio.position_samples == 4_800
    assert audio.slice(0, 4_800) == pcm
    assert audio.slice(100, 200) == pcm[200:400]


@pytest.mark.parametrize("sample_rate_hz", [8_000, 24_000, 44_100, 48_000, 192_000])
def test_other_rates_keep_pitch_and_duration(sample_rate_hz: int) -> None:
    audio = InputAudio(max_ms=5_000)
    pcm = tone(440, 1_000, sample_rate_hz)
    chunk = sample_rate_hz // 50 * 2
    added = b"".join(
        audio.append(pcm[start : start + chunk], sample_rate_hz)
        for start in range(0, len(pcm), chunk)
    )
    assert audio.slice(0, audio.position_samples) == added
    assert 16_000 - HELD_BACK_SAMPLES <= audio.position_samples <= 16_000
    spectrum = np.abs(np.fft.rfft(pcm16_to_float(added)))
    peak_hz = np.argmax(spectrum) * 16_000 / (len(added) // 2)
    assert abs(peak_hz - 440) < 2


def test_cutting_the_input_anywhere_changes_nothing() -> None:
    """Chunks of odd lengths split samples between messages."""
    pcm = tone(300, 500, 24_000)
    whole, cut = InputAudio(max_ms=1_000), InputAudio(max_ms=1_000)
    whole.append(pcm, 24_000)
    rng = random.Random(1)
    start = 0
    while start < len(pcm):
        length = rng.choice([0, 1, 2, 3, 479, 960])
        cut.append(pcm[start : start + length], 24_000)
        start += length
    count = min(whole.position_samples, cut.position_samples)
    assert abs(whole.position_samples - cut.position_samples) <= HELD_BACK_SAMPLES
    differences = pcm16_to_float(whole.slice(0, count)) - pcm16_to_float(cut.slice(0, count))
    assert np.abs(differences).max() * 32_768 <= DITHER


def test_the_oldest_audio_is_dropped_and_positions_go_on() -> None:
    audio = InputAudio(max_ms=100)
    numbers = np.arange(5_000, dtype="<i2").tobytes()
    for start in range(0, len(numbers), 640):
        audio.append(numbers[start : start + 640], 16_000)
    assert audio.position_samples == 5_000
    assert audio.start_samples == 3_400
    assert np.frombuffer(audio.slice(0, 5_000), dtype="<i2").tolist() == list(range(3_400, 5_000))
    assert audio.slice(0, 3_000) == b""
    assert audio.slice(4_998, 9_999) == numbers[-4:]
    assert audio.slice(4_000, 3_900) == b""


def test_one_append_larger_than_the_ring_keeps_its_end() -> None:
    audio = InputAudio(max_ms=10)
    numbers = np.arange(1_000, dtype="<i2").tobytes()
    assert audio.append(numbers, 16_000) == numbers
    assert audio.slice(0, 1_000) == numbers[-320:]


def test_clearing_drops_the_audio_but_not_the_position() -> None:
    audio = InputAudio(max_ms=100)
    audio.append(bytes(640), 16_000)
    audio.clear()
    assert audio.position_samples == 320
    assert audio.slice(0, 320) == b""
    audio.append(b"\x01\x00" * 10, 16_000)
    assert audio.slice(0, 330) == b"\x01\x00" * 10


def test_a_change_of_rate_keeps_what_the_resampler_held_back() -> None:
    audio = InputAudio(max_ms=2_000)
    at_48 = tone(440, 500, 48_000)
    audio.append(at_48, 48_000)
    audio.append(tone(440, 500, 16_000), 16_000)
    first = Resampler(48_000, 16_000)
    expected = len(first.feed(at_48) + first.feed(b"", last=True)) // 2 + 8_000
    assert audio.position_samples == expected == 16_000


def test_an_odd_byte_of_one_rate_does_not_shift_the_next() -> None:
    audio = InputAudio(max_ms=100)
    audio.append(b"\x07", 24_000)
    pcm = tone(440, 20, 16_000)
    assert audio.append(pcm, 16_000).endswith(pcm)


@pytest.mark.parametrize("sample_rate_hz", [-1, 0, 7_999, 192_001])
def test_an_impossible_rate_is_refused_with_the_limit(sample_rate_hz: int) -> None:
    with pytest.raises(ValueError, match="between 8000 and 192000 Hz"):
        InputAudio(max_ms=100).append(bytes(2), sample_rate_hz)


def test_an_hour_of_audio_takes_no_more_memory_than_the_ring() -> None:
    audio = InputAudio(max_ms=30_000)
    second = bytes(32_000)
    for _ in range(3_600):
        audio.append(second, 16_000)
    assert audio.position_samples == 3_600 * 16_000
    assert audio.start_samples == 3_570 * 16_000
    assert audio._held.__sizeof__() < 2 * 30 * 32_000
