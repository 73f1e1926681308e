"""What was heard, word for word, from the times of the words."""

import pytest

from antiphon_gateway.spoken_text import SpokenText
from antiphon_gateway.word_map import Timed, placed_words

RATE_HZ = 1_000


def timed(speech: str, word_samples: int = 100) -> list[Timed]:
    """Place the words of a text, all as long, without pauses."""
    times: list[Timed] = []
    end = 0
    for word in speech.split():
        end = speech.index(word, end) + len(word)
        start = times[-1].end if times else 0
        times.append(Timed(end, start, start + word_samples))
    return times


def clause(spoken: SpokenText, text: str, speech: str = "", *, pause: int = 0) -> None:
    """Add a whole clause whose words are 100 samples long."""
    spoken.begin_clause(text, speech)
    times = timed(speech or text)
    spoken.add_samples(times[-1].end + pause)
    for word in times:
        spoken.add_word(*word)
    spoken.end_clause()


@pytest.mark.parametrize(
    ("played", "heard"),
    [
        (0, ""),
        (49, ""),
        (50, "I"),
        (149, "I"),
        (150, "I extraordinarily"),
        (250, "I extraordinarily am."),
        (320, "I extraordinarily am."),
        (399, "I extraordinarily am."),
        (400, "I extraordinarily am. Yes."),
        (900, "I extraordinarily am. Yes."),
    ],
)
def test_a_word_was_heard_when_half_of_it_was_played(played: int, heard: str) -> None:
    spoken = SpokenText(RATE_HZ)
    clause(spoken, "I extraordinarily am. ", pause=50)
    clause(spoken, "Yes.")
    assert spoken.heard(played) == heard


def test_a_pause_belongs_to_no_word() -> None:
    spoken = SpokenText(RATE_HZ)
    spoken.begin_clause("One, two.")
    spoken.add_samples(900)
    spoken.add_word(4, 0, 100)
    spoken.add_word(9, 700, 900)
    spoken.end_clause()
    assert spoken.heard(690) == "One,"
    assert spoken.heard(799) == "One,"
    assert spoken.heard(800) == "One, two."


@pytest.mark.parametrize(
    ("text", "speech", "ends"),
    [
        ("**Bold** text *here*.", "Bold text here.", [("**Bold**", 100), ("*here*.", 300)]),
        ("It is $5.20 now.", "It is 5 dollars and 20 cents now.", [("$5.20", 700), ("now.", 800)]),
        ("R & D is on", "R and D is on", [("&", 200), ("on", 500)]),
        ("\N{GRINNING FACE} Great \N{PARTY POPPER} day!", "Great day!", [("day!", 200)]),
        ("See https://www.a.org/b?c now", "See a.org now", [("https://www.a.org/b?c", 200)]),
        ("Look:\n```\nx = 1\n```\nDone", "Look: Done", [("Look:", 100), ("Done", 200)]),
        ("at 5 - 7 km/h", "at 5 to 7 kilometers per hour", [("7", 400), ("km/h", 700)]),
    ],
)
def test_words_said_otherwise_are_placed_as_they_are_written(
    text: str, speech: str, ends: list[tuple[str, int]]
) -> None:
    placed = placed_words(text, speech, timed(speech))
    assert placed[-1].end_character == len(text)
    assert [word.end for word in placed] == sorted(word.end for word in placed)
    by_word = {text[: word.end_character].split()[-1]: word.end for word in placed}
    assert {word: by_word[word] for word, _ in ends} == dict(ends)


def test_words_whose_time_is_not_known_yet_are_not_placed() -> None:
    times = timed("one two three four")
    assert len(placed_words("one two three four", "one two three four", times[:2])) == 2
    spoken = SpokenText(RATE_HZ)
    spoken.begin_clause("one two three four")
    spoken.add_samples(250)
    for word in times[:2]:
        spoken.add_word(*word)
    assert spoken.heard(250) == "one two"
    assert spoken.heard(9_000) == "one two"


def test_a_word_placed_twice_is_taken_once() -> None:
    spoken = SpokenText(RATE_HZ)
    spoken.begin_clause("one two")
    spoken.add_samples(200)
    for word in [*timed("one two"), Timed(3, 500, 600), Timed(7, 500, 600)]:
        spoken.add_word(*word)
    spoken.end_clause()
    assert spoken.heard(60) == "one"
    assert spoken.heard(150) == "one two"


def test_without_times_a_clause_still_in_the_making_is_not_taken_for_whole() -> None:
    text = "Eleven short words that take about three seconds to be said."
    spoken = SpokenText(RATE_HZ)
    spoken.begin_clause(text)
    spoken.add_samples(400)
    assert spoken.heard(400) == "Eleven"
    spoken.add_samples(len(text) * 65 - 400)
    spoken.end_clause()
    assert spoken.heard(400) == "Eleven"
    assert spoken.heard(99_999) == text


def test_the_rest_of_a_clause_that_is_not_spoken_counts_when_it_was_played() -> None:
    spoken = SpokenText(RATE_HZ)
    clause(spoken, "Here you are. ```x = 1``` ", "Here you are.", pause=100)
    assert spoken.heard(300) == "Here you are. ```x = 1```"
    assert spoken.heard(240) == "Here you"
