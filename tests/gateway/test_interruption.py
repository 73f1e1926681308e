"""Which speech over a response stops it, by its words and its length."""

import pytest

from antiphon_gateway.interruption import (
    InterruptionRule,
    OverlappingSpeech,
    Verdict,
    carries_meaning,
    is_doubted,
    judge,
)
from antiphon_proto.messages import Transcript

RULE = InterruptionRule(enough_speech_ms=250, patience_ms=450)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "Uh-huh.",
        "Mm-hmm",
        "MMM.",
        "Yeah, yeah.",
        "Okay, great.",
        "I see.",
        "[coughs]",
        "you",
        "Thanks.",
        "Hahahahaha!",
        "Ha ha, hehehe",
    ],
)
def test_listening_sounds_carry_no_meaning(words: str) -> None:
    assert not carries_meaning(words)


@pytest.mark.parametrize(
    "words", ["Stop.", "No!", "Yeah, but why", "You went down", "What?", "Thank you, stop", "He"]
)
def test_words_carry_meaning(words: str) -> None:
    assert carries_meaning(words)


@pytest.mark.parametrize(
    ("no_speech_probability", "average_log_probability", "doubted"),
    [(0.42, -0.96, True), (0.42, -0.5, False), (0.3, -0.96, False)],
)
def test_unsure_words_of_what_may_be_no_speech_are_doubted(
    no_speech_probability: float, average_log_probability: float, doubted: bool
) -> None:
    heard = Transcript(
        text="Let's get this time.",
        no_speech_probability=no_speech_probability,
        average_log_probability=average_log_probability,
    )
    assert is_doubted(heard) is doubted


def test_thanks_are_an_answer_only_to_a_question() -> None:
    assert not carries_meaning("Thank you.")
    assert carries_meaning("Thank you.", answers=True)


def test_a_single_word_that_is_not_sure_carries_none() -> None:
    assert not carries_meaning("them.", sure=False)
    assert carries_meaning("them and us", sure=False)


def test_a_backchannel_is_an_answer_when_something_was_asked() -> None:
    assert carries_meaning("Yeah.", answers=True)
    assert not carries_meaning("Mm.", answers=True)


@pytest.mark.parametrize(
    ("speech", "verdict"),
    [
        (OverlappingSpeech(224, 0), Verdict.UNDECIDED),
        (OverlappingSpeech(448, 0, words_asked=True), Verdict.UNDECIDED),
        (OverlappingSpeech(450, 0, words_asked=True), Verdict.STOP),
        (OverlappingSpeech(640, 0, words="Yeah", words_until_ms=224), Verdict.UNDECIDED),
        (OverlappingSpeech(674, 0, words="Yeah", words_until_ms=224), Verdict.STOP),
        (OverlappingSpeech(256, 0, words="What is", words_until_ms=224), Verdict.STOP),
        (OverlappingSpeech(224, 160), Verdict.GO_ON),
        (OverlappingSpeech(224, 160, sounding=True), Verdict.UNDECIDED),
        (OverlappingSpeech(320, 128, words_asked=True), Verdict.UNDECIDED),
        (OverlappingSpeech(320, 256, words_asked=True), Verdict.UNDECIDED),
        (OverlappingSpeech(320, 256), Verdict.GO_ON),
        (OverlappingSpeech(320, 256, words="Hm.", words_until_ms=320), Verdict.GO_ON),
        (OverlappingSpeech(320, 256, words="Stop.", words_until_ms=320), Verdict.STOP),
        (OverlappingSpeech(320, 680, words_asked=True), Verdict.GO_ON),
        (OverlappingSpeech(3_000, 0, words="What is", echo=True), Verdict.UNDECIDED),
        (OverlappingSpeech(3_000, 160, echo=True), Verdict.GO_ON),
    ],
)
def test_the_verdict(speech: OverlappingSpeech, verdict: Verdict) -> None:
    assert judge(speech, RULE) is verdict
