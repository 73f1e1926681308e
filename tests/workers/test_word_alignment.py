"""Words found in the phonemes of their sentence."""

import pytest

from antiphon_workers.tts.word_alignment import align


def found(words: dict[str, str], phonemes: str) -> list[str]:
    """Return the phonemes given to each word; a word stands with what it is said like alone."""
    spans = align([(len(word), list(alone)) for word, alone in words.items()], list(phonemes))
    return [phonemes[span.start : span.end] for span in spans]


def test_words_that_are_said_as_they_are_alone() -> None:
    assert found({"Hello,": "həlˈoʊ,", "world.": "wˈɜːld."}, "həlˈoʊ, wˈɜːld.") == [
        "həlˈoʊ",
        "wˈɜːld",
    ]


@pytest.mark.parametrize(
    ("words", "phonemes", "parts"),
    [
        (
            {"I": "ˈaɪ", "am": "ˈæm", "a": "ˈeɪ", "test": "tˈɛst"},
            "aɪɐm ɐ tˈɛst",
            ["aɪ", "ɐm", "ɐ", "tˈɛst"],
        ),
        ({"of": "ʌv", "the": "ðə", "U.S.": "jˌuːˈɛs"}, "ʌvðə jˌuːˈɛs", ["ʌv", "ðə", "jˌuːˈɛs"]),
        ({"wait...": "wˈeɪt", "what?": "wˌʌt?"}, "wˈeɪtwˌʌt?", ["wˈeɪt", "wˌʌt"]),
    ],
)
def test_words_that_are_merged_are_told_apart(
    words: dict[str, str], phonemes: str, parts: list[str]
) -> None:
    assert found(words, phonemes) == parts


def test_a_number_is_all_the_words_it_is_read_as() -> None:
    words = {"In": "ɪn", "45,": "fˈɔːɹɾi fˈaɪv,", "20": "twˈɛnti", "left": "lˈɛft"}
    assert found(words, "ɪn fˈɔːɹɾi fˈaɪv, twˈɛnti lˈɛft") == [
        "ɪn",
        "fˈɔːɹɾi fˈaɪv",
        "twˈɛnti",
        "lˈɛft",
    ]


def test_what_is_not_spoken_has_no_phonemes() -> None:
    assert found({"a": "ˈeɪ", "-": "", "b": "bˈiː"}, "ɐ; bˈiː") == ["ɐ", "", "bˈiː"]


def test_words_that_are_not_recognised_share_what_is_left_by_length() -> None:
    words = {"one": "wˈʌn", "xy": "zzzz", "abcdef": "ʒʒʒʒʒʒʒʒ", "two": "tˈuː"}
    assert found(words, "wˈʌn kkkkkkkk tˈuː") == ["wˈʌn", "kk", "kkkkkk", "tˈuː"]


def test_no_words_and_no_phonemes_are_survived() -> None:
    assert align([], list("abc")) == []
    assert found({"a": "", "b": ""}, "") == ["", ""]
    assert found({"a": "ˈeɪ"}, "") == [""]
