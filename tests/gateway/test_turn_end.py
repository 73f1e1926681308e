"""How much silence ends a turn: what is known moves it, and nothing takes it out of its bounds."""

import itertools

import pytest

from antiphon_gateway.turn_end import HARD_END_MS, Eagerness, Evidence, Sounding, weigh

LEAST_MS = 200
SURE = Evidence(
    soundings=(Sounding(96, 0.98),),
    transcript="What time is it in Rome?",
    confidence=-0.2,
    message_end=0.6,
    phrase_end=0.05,
)
UNFINISHED = Evidence(
    soundings=(Sounding(96, 0.4),),
    transcript="Turn on the",
    confidence=-0.5,
    message_end=0.0001,
    phrase_end=0.0001,
)
EVERYTHING = [
    Evidence(soundings, transcript, confidence, message_end, phrase_end=phrase_end)
    for soundings, transcript, confidence, message_end, phrase_end in itertools.product(
        ((), (Sounding(96, 0.05),), (Sounding(96, 0.99), Sounding(192, 0.99))),
        (None, "", "And", "Turn on the lamp.", "What time is it?", "Well..."),
        (0.0, -0.1, -2.0),
        (None, 0.0, 0.3, 1.0),
        (None, 0.0, 0.9),
    )
]


def needed_ms(evidence: Evidence, eagerness: Eagerness = "auto") -> int:
    return weigh(evidence, eagerness, LEAST_MS).silence_ms


def test_a_turn_that_is_surely_over_needs_the_least_silence() -> None:
    assert needed_ms(SURE) == LEAST_MS


def test_an_unfinished_request_is_waited_for() -> None:
    assert needed_ms(UNFINISHED) > 900


@pytest.mark.parametrize("eagerness", HARD_END_MS)
def test_the_silence_stays_between_the_least_and_the_hard_end(eagerness: Eagerness) -> None:
    for evidence in EVERYTHING:
        assert LEAST_MS <= needed_ms(evidence, eagerness) <= HARD_END_MS[eagerness], evidence


def test_nothing_known_waits_for_the_hard_end() -> None:
    assert weigh(Evidence(), "low", LEAST_MS) == (4_000, "silence")


def test_less_eagerness_never_waits_less() -> None:
    for evidence in EVERYTHING:
        waits = [needed_ms(evidence, one) for one in ("high", "auto", "medium", "low")]
        assert waits == sorted(waits), evidence


@pytest.mark.parametrize("field", ["message_end", "phrase_end", "sound"])
def test_more_probable_never_waits_longer(field: str) -> None:
    for evidence in EVERYTHING:
        waits = []
        for probability in (0.0, 0.01, 0.1, 0.3, 0.6, 0.9, 1.0):
            if field == "sound":
                known = evidence._replace(soundings=(Sounding(96, probability),))
            else:
                known = evidence._replace(**{field: probability})
            waits.append(needed_ms(known))
        assert waits == sorted(waits, reverse=True), evidence


def test_sound_and_words_alone_do_not_end_a_turn_in_a_hurry() -> None:
    assert needed_ms(SURE._replace(message_end=None)) == 480


@pytest.mark.parametrize(
    ("sounds_over", "confidence"), [(0.7, -0.2), (0.98, -0.7)], ids=["sound", "confidence"]
)
def test_words_that_read_complete_are_not_enough_without_the_model(
    sounds_over: float, confidence: float
) -> None:
    said = SURE._replace(message_end=None, phrase_end=None, confidence=confidence)
    assert needed_ms(said._replace(soundings=(Sounding(64, sounds_over),))) > 700


def test_what_is_unsure_of_its_words_waits_when_nothing_else_is_heard() -> None:
    said = Evidence(transcript="What time is it?", confidence=-0.4)
    assert needed_ms(said) > 800
    assert needed_ms(said._replace(confidence=-0.1)) == 480
    assert needed_ms(said._replace(confidence=0.0)) == 480


def test_a_sound_that_goes_on_outweighs_words_that_read_complete() -> None:
    heard = Evidence(soundings=(Sounding(96, 0.1),), transcript="What time is it?")
    assert needed_ms(heard) > 480


def test_the_sound_of_a_long_silence_adds_nothing() -> None:
    later = UNFINISHED._replace(soundings=(*UNFINISHED.soundings, Sounding(800, 0.99)))
    assert needed_ms(later) == needed_ms(UNFINISHED)


def test_a_speaker_who_pauses_for_long_is_given_longer() -> None:
    unsure = SURE._replace(message_end=0.01, phrase_end=0.001)
    slow = unsure._replace(pauses_ms=(400, 1_300, 1_400, 1_200))
    assert needed_ms(slow) > needed_ms(unsure)
    assert needed_ms(SURE._replace(pauses_ms=slow.pauses_ms)) == LEAST_MS


def test_english_lists_are_not_applied_to_other_languages() -> None:
    said = Evidence(transcript="Ich komme an.")
    assert needed_ms(said._replace(language="de")) == 480
    assert needed_ms(said._replace(language="en")) == HARD_END_MS["auto"]


def test_the_reason_names_what_was_known() -> None:
    assert weigh(SURE, "auto", LEAST_MS).reason == "sound+words+model"
    assert weigh(SURE._replace(transcript="", message_end=None), "auto", 0).reason == "sound"
