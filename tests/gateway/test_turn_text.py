"""Whether a transcript reads complete."""

import pytest

from antiphon_gateway.turn_text import reads_complete


@pytest.mark.parametrize(
    "transcript",
    ["What time is it?", "Turn on the lamp.", 'He said "no."', "Who are you talking to?", "Yes!"],
)
def test_a_finished_sentence_reads_complete(transcript: str) -> None:
    assert reads_complete(transcript)


@pytest.mark.parametrize(
    "transcript",
    ["", "...", "I would like", "I would like to.", "Well...", "Turn on the.", "And um.", "My"],
)
def test_a_sentence_left_hanging_does_not(transcript: str) -> None:
    assert not reads_complete(transcript)
