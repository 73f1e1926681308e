"""The table of a turn's timings: parts in the order of time that sum to the total."""

import itertools

import pytest

from antiphon.timing_table import (
    ON_THE_WAY,
    QUIET_START,
    SEEN_LATER,
    TOTAL,
    parts,
    table,
    whole_parts,
)

STEPS = {
    "pause_seen": 200.0,
    "transcript": 340.4,
    "model_first_text": 430.0,
    "first_clause": 470.2,
    "first_audio": 610.0,
    "endpoint": 520.0,
    "audio_sent": 612.0,
}


def test_parts_are_consecutive_and_sum_to_the_total():
    rows = parts(STEPS, first_sample_ms=640.6, mouth_to_ear_ms=655.5)
    assert [row.name for row in rows] == [
        "pause seen",
        "transcript",
        "model's first text",
        "first clause",
        "end of turn decided",
        "first audio made",
        "audio sent",
        ON_THE_WAY,
        QUIET_START,
    ]
    assert sum(row.part_ms for row in rows) == rows[-1].at_ms == 656
    for before, row in itertools.pairwise(rows):
        assert row.at_ms - before.at_ms == row.part_ms


@pytest.mark.parametrize("mouth_to_ear_ms", [499.5, 700.5, 1234.4])
def test_rounding_does_not_break_the_sum(mouth_to_ear_ms: float):
    steps = {"pause_seen": 100.5, "transcript": 200.5, "audio_sent": 300.5}
    rows = parts(steps, 399.5, mouth_to_ear_ms)
    assert sum(row.part_ms for row in rows) == round(mouth_to_ear_ms)


def test_a_step_after_the_audio_was_sent_is_no_part_of_the_wait():
    rows = parts({"audio_sent": 300.0, "transcript": 900.0}, 310.0, 310.0)
    assert [row.name for row in rows] == ["audio sent", ON_THE_WAY, QUIET_START]


def test_steps_at_the_same_time_end_with_the_sending():
    rows = parts({"audio_sent": 300.0, "endpoint": 300.0}, 310.0, 310.0)
    assert [row.name for row in rows][:2] == ["end of turn decided", "audio sent"]


def test_without_steps_of_the_server_the_client_alone_explains_the_wait():
    rows = parts({}, 500.0, 520.0)
    assert [(row.name, row.part_ms) for row in rows] == [(ON_THE_WAY, 500), (QUIET_START, 20)]


def test_an_earlier_end_of_speech_at_the_server_shows_as_a_negative_part():
    rows = parts({"audio_sent": 600.0}, 550.0, 560.0)
    assert rows[1].part_ms == -50
    assert sum(row.part_ms for row in rows) == 560


def test_unknown_steps_are_shown_by_their_name():
    assert parts({"voice_cloned": 5.0}, 6.0, 7.0)[0].name == "voice cloned"


def test_the_printed_table_ends_with_the_sum_of_its_parts():
    lines = table(parts(STEPS, 640.0, 655.0)).splitlines()
    shown = [int(line.split(" ms")[0].split()[-1]) for line in lines[1:]]
    assert lines[-1].split()[:3] == TOTAL.split()
    assert sum(shown[:-1]) == shown[-1] == 655
    assert len({len(line) for line in lines[:-1]}) == 1


def test_what_the_server_knows_from_mouth_to_ear_is_the_whole_wait():
    known = {"capture_uplink": 20.4, "endpoint_wait": 128.3, "stt": 99.9, "hold": 0.0}
    rows = whole_parts(known, seen_ms=248.6, first_sample_ms=230.2, mouth_to_ear_ms=251.7)
    assert [row.name for row in rows] == [
        SEEN_LATER,
        "capture and way up",
        "waiting for the end of the turn",
        "transcript",
        "audio held until the turn's end",
        QUIET_START,
    ]
    assert rows[0].part_ms == -18
    assert sum(row.part_ms for row in rows) == rows[-1].at_ms == 252
