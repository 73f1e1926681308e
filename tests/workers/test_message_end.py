"""How probably a message has ended, from the tokens that could follow."""

import math

import pytest

from antiphon_workers.llm.message_end import (
    end_probability,
    phrase_end_probability,
    without_end_mark,
)

END = 2


def token(text: str, probability: float, token_id: int = 9) -> dict[str, object]:
    return {"id": token_id, "token": text, "logprob": math.log(probability)}


def test_marks_line_breaks_and_the_end_of_the_message_count():
    candidates = [
        token(" and", 0.5),
        token("?", 0.2),
        token(" .", 0.1),
        token("\n\n", 0.05),
        token("", 0.02, END),
        token(",", 0.08),
    ]
    assert end_probability(candidates, END) == pytest.approx(0.37)


def test_commas_and_joining_words_end_a_phrase():
    candidates = [token(" and", 0.3), token(",", 0.2), token(" Or", 0.1), token(".", 0.3)]
    assert phrase_end_probability(candidates) == pytest.approx(0.6)
    assert phrase_end_probability([token(" android", 0.5)]) == 0.0


def test_no_candidate_that_ends_is_no_probability():
    assert end_probability([token(" and", 0.9)], None) == 0.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What time is it?", "What time is it"),
        ("Well... ", "Well"),
        ("No\u2026", "No"),
        ("He said, ", "He said,"),
        ("?", ""),
    ],
)
def test_a_message_is_judged_without_its_end_mark(text: str, words: str):
    assert without_end_mark(text) == words
