"""Trimming silence from streamed speech."""

import numpy as np
import pytest

from antiphon_proto.audio import Samples
from antiphon_workers.tts.silence import THRESHOLD, Edges, SilenceTrimmer

RATE_HZ = 1_000
QUIET = 1e-4


def silence(milliseconds: int) -> Samples:
    return np.full(milliseconds, QUIET, np.float32)


def sound(milliseconds: int) -> Samples:
    return np.full(milliseconds, 0.5, np.float32)


def opened() -> SilenceTrimmer:
    return SilenceTrimmer(RATE_HZ, lead_ms=20, longest_ms=400, trail_ms=100)


def trimmed(stream: Samples, part_samples: int, trimmer: SilenceTrimmer | None = None) -> Samples:
    trimmer = trimmer or opened()
    parts = [
        trimmer.feed(stream[start : start + part_samples])
        for start in range(0, len(stream), part_samples)
    ]
    return np.concatenate([*parts, trimmer.end()])


def shape(stream: Samples) -> list[tuple[bool, int]]:
    """Return the lengths of sound and silence in turn."""
    edges = np.flatnonzero(np.diff(np.abs(stream) > THRESHOLD)) + 1
    runs = np.split(np.abs(stream) > THRESHOLD, edges)
    return [(bool(run[0]), len(run)) for run in runs]


@pytest.mark.parametrize("part_samples", [1, 7, 64, 10_000])
def test_silence_around_the_speech_gets_its_length(part_samples: int) -> None:
    long = np.concatenate([silence(300), sound(50), silence(500)])
    assert shape(trimmed(long, part_samples)) == [(False, 20), (True, 50), (False, 100)]
    short = np.concatenate([silence(10), sound(50), silence(60)])
    assert shape(trimmed(short, part_samples)) == [(False, 10), (True, 50), (False, 100)]
    none = sound(50)
    assert shape(trimmed(none, part_samples)) == [(True, 50), (False, 100)]


@pytest.mark.parametrize("part_samples", [1, 64])
def test_all_that_precedes_the_speech_is_kept_when_that_is_wanted(part_samples: int) -> None:
    trimmer = SilenceTrimmer(RATE_HZ, lead_ms=None, longest_ms=400, trail_ms=100)
    long = np.concatenate([silence(300), sound(50), silence(500)])
    assert shape(trimmed(long, part_samples, trimmer)) == [(False, 300), (True, 50), (False, 100)]
    assert trimmer.place(310) == 310


@pytest.mark.parametrize("part_samples", [1, 7, 64, 10_000])
def test_a_pause_inside_is_kept_up_to_the_longest(part_samples: int) -> None:
    kept = np.concatenate([sound(50), silence(350), sound(50)])
    np.testing.assert_array_equal(trimmed(kept, part_samples)[:-100], kept)
    long = np.concatenate([sound(50), silence(900), sound(50)])
    assert len(trimmed(long, 64)) == 50 + 400 + 50 + 100


@pytest.mark.parametrize("part_samples", [1, 64])
def test_the_speech_itself_is_unchanged_and_silence_fades_from_and_to_nothing(
    part_samples: int,
) -> None:
    made = trimmed(np.concatenate([silence(300), sound(50), silence(500)]), part_samples)
    np.testing.assert_array_equal(made[20:70], sound(50))
    assert made[0] == made[-1] == 0
    assert 0 < made[3] < made[6]
    assert 0 < made[-3] < made[-7]
    assert made[6] == pytest.approx(QUIET)


def test_silence_alone_gives_nothing() -> None:
    assert trimmed(silence(1_000), 64).size == 0


def test_sound_is_not_held_back() -> None:
    assert len(opened().feed(np.concatenate([silence(5), sound(50)]))) == 55


@pytest.mark.parametrize("part_samples", [1, 7, 64])
def test_a_sample_is_found_again_in_what_was_returned(part_samples: int) -> None:
    stream = np.concatenate(
        [silence(300), sound(50), silence(900), sound(30), silence(40), sound(10), silence(500)]
    )
    stream[[320, 1_260, 1_325]] = 0.9
    trimmer = opened()
    made = trimmed(stream, part_samples, trimmer)
    marks = np.flatnonzero(made > 0.8)
    assert [trimmer.place(sample) for sample in (320, 1_260, 1_325)] == marks.tolist()
    assert trimmer.place(0) == 0
    assert trimmer.place(280) == 0
    assert trimmer.place(1_000) == trimmer.place(1_250)
    assert trimmer.place(len(stream)) == len(made)


def test_where_silence_goes_is_not_known_before_its_end() -> None:
    trimmer = opened()
    trimmer.feed(np.concatenate([sound(50), silence(30)]))
    assert trimmer.place(50) == 50
    assert trimmer.place(60) is None
    trimmer.feed(sound(1))
    assert trimmer.place(60) == 60


@pytest.mark.parametrize("part_samples", [1, 7, 64, 10_000])
def test_speech_that_was_cut_out_fades_from_and_to_nothing_whatever_its_parts(
    part_samples: int,
) -> None:
    made = faded(part_samples, fade_in=True, end_sample=200)
    assert made[0] == made[-1] == 0
    assert (np.diff(made[:9]) > 0).all()
    assert (np.diff(made[-9:]) < 0).all()
    np.testing.assert_array_equal(made[8:-8], sound(184))
    np.testing.assert_array_equal(made, faded(200, fade_in=True, end_sample=200))


def test_only_an_edge_that_was_cut_fades() -> None:
    begun = faded(64, fade_in=True, end_sample=None)
    assert begun[0] == 0
    np.testing.assert_array_equal(begun[8:], sound(192))
    ended = faded(64, fade_in=False, end_sample=200)
    assert ended[-1] == 0
    np.testing.assert_array_equal(ended[:-8], sound(192))
    np.testing.assert_array_equal(faded(64, fade_in=False, end_sample=None), sound(200))


def faded(part_samples: int, *, fade_in: bool, end_sample: int | None) -> Samples:
    edges = Edges(RATE_HZ, fade_in=fade_in, end_sample=end_sample)
    stream = sound(200)
    parts = [
        edges.fade(stream[start : start + part_samples])
        for start in range(0, len(stream), part_samples)
    ]
    return np.concatenate(parts)
