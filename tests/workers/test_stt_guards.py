"""Telling a transcript from a decoder that went astray."""

import pytest

from antiphon_workers.stt.guards import (
    SPLICED_NOISE_PROBABILITY,
    is_guess,
    is_loop,
    is_no_speech,
    is_repetitive,
    most_tokens,
    without_loop,
    words_of,
)


@pytest.mark.parametrize(
    "text",
    [
        "no no no no no no",
        "I think so, I think so, I think so, I think so, yes",
        "the next one is the next one is the next one is the next one is",
        "a long sentence that keeps going and " * 6,
    ],
)
def test_a_text_that_repeats_itself_is_a_loop(text: str) -> None:
    assert is_repetitive(text)
    assert is_loop(text, tokens=1, seconds=10.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No, no, no!",
        "when is a lobster not a lobster when it is a crayfish",
        "Put this in a double boiler and let cook until thick, stirring constantly.",
    ],
)
def test_ordinary_speech_is_not_a_loop(text: str) -> None:
    assert not is_loop(text, tokens=len(text.split()), seconds=4.0)


@pytest.mark.parametrize(
    ("text", "once"),
    [
        ("Well, what is the difference between " + "what is the difference between " * 20, 6),
        ("And I was going. " + "And I was going! " * 9 + "And I", 4),
        ("a sentence of eight words that keeps going " * 8, 8),
    ],
)
def test_what_a_loop_repeats_is_written_once(text: str, once: int) -> None:
    assert without_loop(text) == " ".join(text.split()[:once])


def test_what_is_said_behind_a_loop_is_kept() -> None:
    loop = "and I was going " * 20
    assert without_loop(f"Well, {loop}home to see you") == "Well, and I was going home to see you"


def test_a_loop_inside_a_word_is_dropped() -> None:
    assert without_loop("T-" * 200) == ""
    assert without_loop(f"Stop {'ha' * 200}") == "Stop"


def test_a_person_may_say_a_word_many_times() -> None:
    for text in ("no no no no no no", "No, no, no!", ""):
        assert without_loop(text) == text


def test_unsure_words_are_a_guess_only_where_nobody_may_have_spoken() -> None:
    assert is_guess(0.5, -1.1)
    assert not is_guess(0.5, -0.9)
    assert not is_guess(0.3, -2.0)


def test_a_transcript_of_marks_alone_is_empty() -> None:
    assert [words_of(text) for text in ("", ".", "...", "-")] == [""] * 4
    assert words_of("10!") == "10!"


@pytest.mark.parametrize(
    "text", ["Ha ha ha!", "hahahaha", "Ha", "Ahahaha.", "Heh heh", "Ho ho ho!"]
)
def test_a_transcript_of_laughter_alone_is_empty(text: str) -> None:
    assert words_of(text) == ""
    assert words_of(f"{text} Stop it.") == f"{text} Stop it."


@pytest.mark.parametrize("text", ["Aha!", "Huh?", "He.", "Uh-huh.", "Oh, ho.", "Hello?"])
def test_short_words_of_the_same_sounds_are_kept(text: str) -> None:
    assert words_of(text) == text


def test_more_tokens_than_the_audio_can_hold_are_a_loop() -> None:
    assert most_tokens(2.0) == 32
    assert is_loop("short text", tokens=32, seconds=2.0)
    assert not is_loop("short text", tokens=31, seconds=2.0)


@pytest.mark.parametrize(
    ("no_speech_probability", "average_log_probability", "expected"),
    [
        (0.7, -1.1, True),
        (0.7, -0.9, False),
        (0.5, -2.0, False),
        (0.85, -0.6, True),
        (0.85, -0.3, False),
    ],
)
def test_no_speech_needs_the_model_to_say_so_and_to_be_unsure(
    no_speech_probability: float, average_log_probability: float, expected: bool
) -> None:
    assert is_no_speech(no_speech_probability, average_log_probability) is expected


def test_a_window_that_ends_with_its_speech_is_believed_sooner() -> None:
    assert is_no_speech(0.55, -0.6, noise_probability=SPLICED_NOISE_PROBABILITY)
    assert not is_no_speech(0.55, -0.6)
    assert not is_no_speech(0.55, -0.3, noise_probability=SPLICED_NOISE_PROBABILITY)


@pytest.mark.parametrize("text", ["Thank you.", " Thanks for watching!", "You"])
def test_a_stock_phrase_must_be_surer_than_other_words(text: str) -> None:
    assert is_no_speech(0.5, -0.6, text)
    assert not is_no_speech(0.1, -0.6, text)
    assert not is_no_speech(0.5, -0.2, text)
    assert not is_no_speech(0.5, -0.6, f"{text} Turn on the lamp.")
