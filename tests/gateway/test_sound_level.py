"""When a voice falls, also where windows are left out."""

import numpy as np

from antiphon_gateway.sound_level import SoundLevel

WINDOW = 512


def window(peak: int) -> bytes:
    return np.full(WINDOW, peak, "<i2").tobytes()


def test_a_voice_falls_where_it_is_far_below_its_last_second() -> None:
    level = SoundLevel()
    for number, peak in enumerate((3_000, 3_000, 1_000, 200, 100)):
        level.hear(window(peak), number * WINDOW)
    assert level.fell_at_sample == 3 * WINDOW
    level.hear(window(3_000), 5 * WINDOW)
    assert level.fell_at_sample is None, "it has risen again"


def test_what_was_heard_more_than_a_second_ago_does_not_count() -> None:
    level = SoundLevel()
    level.hear(window(20_000), WINDOW)
    level.hear(window(1_000), 40 * WINDOW)
    assert level.fell_at_sample is None
    level.hear(window(50), 41 * WINDOW)
    assert level.fell_at_sample == 41 * WINDOW
