"""Deltas of a fast model are sent several at a time, those of a slow one as they come."""

import pytest

from antiphon_workers.text_gathering import TextGathering


def gathered(words: int, step_ms: float) -> list[tuple[float, str]]:
    """Return when what was sent, of a model that writes ` w` every `step_ms`."""
    gathering = TextGathering()
    sent = []
    for number in range(words):
        at_ms = 1_000.0 + number * step_ms
        if text := gathering.add(f" w{number}", at_ms):
            sent.append((at_ms, text))
    if text := gathering.take():
        sent.append((at_ms, text))
    return sent


@pytest.mark.parametrize("step_ms", [0.5, 2.0, 5.0, 9.0, 15.0, 200.0])
def test_nothing_is_lost_or_changed(step_ms: float) -> None:
    sent = gathered(100, step_ms)
    assert "".join(text for _, text in sent) == "".join(f" w{n}" for n in range(100))


def test_the_first_clause_comes_as_it_is_written() -> None:
    assert [text for _, text in gathered(16, 1.0)] == [f" w{n}" for n in range(16)]


def test_a_fast_model_sends_every_thirty_milliseconds() -> None:
    behind = gathered(200, 5.0)[16:-1]
    assert {text.count(" ") for _, text in behind} == {6}


def test_a_slow_model_is_not_waited_for() -> None:
    assert len(gathered(60, 15.0)) == 60


def test_a_pause_is_not_filled_with_old_words() -> None:
    gathering = TextGathering()
    for number in range(20):
        gathering.add("x", 1_000.0 + number)
    assert gathering.add("y", 1_500.0).endswith("y")
    assert gathering.take() == ""
