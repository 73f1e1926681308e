"""The table of a voice's first audio."""

import pytest

from bench import first_audio
from bench.first_audio import SENTENCES, Spoken, as_text
from bench.jitter_process import Overshoot


def test_each_length_has_its_times_and_the_machine_its_own() -> None:
    spoken = {"Hello": [Spoken(20.0, 40.0, 500.0), Spoken(30.0, 60.0, 500.0)]}
    rounds, _, row, machine = as_text(spoken, Overshoot(1.25, 9.5)).splitlines()
    assert rounds == "2 rounds"
    assert row.split() == ["5", "25", "ms", "30", "ms", "50", "ms", "500", "ms"]
    assert machine == "timer overshoot: p99 1.2 ms, p100 9.5 ms"


def test_sentences_of_all_lengths_are_spoken(capsys: pytest.CaptureFixture[str]) -> None:
    assert first_audio.main(["--set", "tts.engine=simulated", "--rounds", "1"]) == 0
    _, _, *rows, _ = capsys.readouterr().out.splitlines()
    assert [int(row.split()[0]) for row in rows] == [len(text) for text in SENTENCES]
    assert all(float(row.split()[1]) <= float(row.split()[5]) for row in rows)
