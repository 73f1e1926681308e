"""What is spoken of a model's text: no markup, no emoji, no thoughts, symbols as words."""

import random
from itertools import pairwise

import pytest

from antiphon_gateway.speech_text import ThinkingFilter, speakable


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("**Bold** and *it* and __b__ _i_ ~~s~~ `code`", "Bold and it and b i s code"),
        ("**Note:** this", "Note: this"),
        ("unmatched **bold", "unmatched bold"),
        ("the end** of it", "the end of it"),
        ("## Title ##\n", "Title"),
        ("- item one", "item one"),
        ("* [x] done", "done"),
        ("1. First", "1. First"),
        ("> quoted", "quoted"),
        ("---", ""),
        ("Line one\nLine two.\n\nLine three", "Line one. Line two. Line three"),
        ("| a | b |\n|:--|--:|\n| 1 | 2 |", "a, b. 1, 2"),
        ("```python\nprint(1)\n```", ""),
        ("Look:\n```\nx = 1\n```\nDone", "Look: Done"),
        ("```python\nnever closed", ""),
        ("\\*not emphasised\\*", "not emphasised"),
        ("x <b>y</b><br/> z", "x y z"),
        ("a <b", "a b"),
    ],
)
def test_markup_is_removed(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("See [the docs](https://a.b/c_(d) 'title') now.", "See the docs now."),
        ("See [the docs][1].", "See the docs."),
        ("![a cat](cat.png)", "a cat"),
        ("Go to https://www.example.com/a?b=c. Then", "Go to example.com. Then"),
        ("**https://example.com/with_underscores**", "example.com"),
        ("(www.example.org)", "(example.org)"),
        ("<https://example.com>", "example.com"),
        ("Write to me@example.com.", "Write to me@example.com."),
    ],
)
def test_links_are_their_label_and_addresses_their_host(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("It costs $5.20.", "It costs 5 dollars and 20 cents."),
        ("$1 or $2, ok", "1 dollar or 2 dollars, ok"),
        ("$0.50", "50 cents"),
        ("$5.00", "5 dollars"),
        ("$1,000", "1,000 dollars"),
        ("$1.5 million", "1.5 million dollars"),
        ("£2.01 or 10€", "2 pounds and 1 penny or 10 euros"),
        ("$3-$5", "3 dollars to 5 dollars"),
        ("R & D", "R and D"),
        ("50% or 10%-20%", "50 percent or 10 percent to 20 percent"),
        ("20°C, 5 °F, 90°", "20 degrees Celsius, 5 degrees Fahrenheit, 90 degrees"),
        ("5–10 people, 2020-2021", "5 to 10 people, 2020 to 2021"),
        ("~5 of #1", "about 5 of number 1"),
        ("2 * 3", "2 × 3"),
        ("he/she and/or it at 90 km/h", "he or she and or it at 90 kilometers per hour"),
        ("3.14, 1,000, 10:30 and -5", "3.14, 1,000, 10:30 and -5"),
        ("C++ and snake_case", "C++ and snake case"),
    ],
)
def test_symbols_become_words_and_numbers_stay(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        (
            "Dr. Smith met Mr. Jones at St. Mary's.",
            "Doctor Smith met Mister Jones at Saint Mary's.",
        ),
        ("He lives at 12 Baker St. in London.", "He lives at 12 Baker Street in London."),
        ("i.e. this, etc. and so on vs. others", "that is this, et cetera and so on versus others"),
        (
            "No. 5, Fig. 3, Prof. Lee and Sam Jr.",
            "number 5, figure 3, Professor Lee and Sam Junior.",
        ),
        ("The U.S. army is in the U.S.", "The U S army is in the U S."),
        ("J. K. Rowling", "J K Rowling"),
        ("AI, NASA and the EU", "AI, NASA and the EU"),
    ],
)
def test_abbreviations_are_read_in_full_and_end_no_sentence(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Born in 1875, died 1905.", "Born in 18 75, died 19 oh 5."),
        ("It has 1875 members.", "It has 1875 members."),
        ("the 1960s and '90s", "the 19 sixties and nineties"),
        ("in 1900 or 2007", "in 19 hundred or 2007"),
        ("on 2024-11-22 or 11/22/2024", "on November 22, 2024 or November 22, 2024"),
        ("99/99/2024", "99/99/2024"),
        ("Nov. 5, the 1st and 2nd", "November 5, the 1st and 2nd"),
        ("10:30 a.m., 14:05, 9:00 or 9:00 PM", "10:30 a.m., 14 oh 5, 9 o'clock or 9 PM"),
        ("Henry VIII in World War II", "Henry the 8th in World War 2"),
        ("Am I here?", "Am I here?"),
    ],
)
def test_years_dates_times_and_ordinals_are_read_as_people_do(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("call 555-1234", "call 5 5 5, 1 2 3 4"),
        ("+1 (555) 123-4567", "plus 1, 5 5 5, 1 2 3, 4 5 6 7"),
        ("5 kg, 1 kg, 3cm and 6 ft", "5 kilograms, 1 kilogram, 3 centimeters and 6 feet"),
        ("50 mph, 60 Hz and 5'10\"", "50 miles per hour, 60 hertz and 5 foot 10"),
        ("a 5 m wall, the 5 men", "a 5 meters wall, the 5 men"),
        ("$5M and $3.5B", "5 million dollars and 3.5 billion dollars"),
        ("1/2 cup, 1 3/4 and 5/8", "one half cup, 1 and three quarters and 5/8"),
        ("5 < 6 and 24/7", "5 is less than 6 and 24 7"),
        ("C# and #hashtag", "C sharp and hashtag"),
        ("go to example.com/path?x=1 now", "go to example.com now"),
    ],
)
def test_units_phone_numbers_and_signs_are_words(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


def test_symbols_of_other_languages_are_left_to_the_engine() -> None:
    assert speakable("**5 %** von 20 €", language="de") == "5 % von 20 €"


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Great 😊👍🏽!", "Great!"),
        ("👨‍👩‍👧", ""),
        ("🇩🇪 and 1️⃣", "and 1"),
        ("a\x00b\x1b[0m\u202ec", "ab 0mc"),
        ("Wow!!! What?!?", "Wow! What?"),
        ("hm.....", "hm..."),
        ("...", ""),
        ("?!", ""),
        (" \n ", ""),
        ("", ""),
        ("naïve café", "naïve café"),
        ("می‌خواهم", "می‌خواهم"),
        ("नमस्ते", "नमस्ते"),
        ("你好。", "你好。"),
    ],
)
def test_only_what_has_a_sound_is_left(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


def test_thoughts_are_not_spoken() -> None:
    assert speakable("<think>secret</think>Yes") == "Yes"
    assert speakable("Yes <THINKING>never closed") == "Yes"


def test_hostile_text_takes_no_time() -> None:
    """Each of these makes a carelessly nested pattern run for ages; the test would time out."""
    for unit in [
        "-",
        "- ",
        "|",
        "|-",
        "*",
        "* ",
        "[",
        "[](",
        "<",
        "<a",
        " ",
        "\n",
        "> ",
        "$1,",
        "1/",
        "1 ",
        "A.",
        "in 18",
        "a.b",
        "Xx X",
        "(",
    ]:
        assert isinstance(speakable(unit * 3_000 + "x"), str)


def filtered(deltas: list[str]) -> str:
    thinking = ThinkingFilter()
    return "".join([*(thinking.feed(delta) for delta in deltas), thinking.finish()])


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("<think>Let me see.</think>\n\nIt is five.", "It is five."),
        ("<think>\n\n</think>\n\nHi.", "Hi."),
        ("A <thinking>b</thinking> c", "A c"),
        ("one <Think>x</THINK>two<think>y", "one two"),
        ("lost start</think> Hi", "lost startHi"),
        ("1 < 2 <thin ice> <t", "1 < 2 <thin ice> <t"),
        ("<think>a < b </thin </think>done", "done"),
        ("plain", "plain"),
    ],
)
def test_the_thinking_filter_does_not_depend_on_the_deltas(text: str, spoken: str) -> None:
    assert filtered([text]) == spoken
    assert filtered(list(text)) == spoken
    rng = random.Random(text)
    for _ in range(50):
        cuts = sorted(rng.sample(range(len(text) + 1), k=min(4, len(text))))
        edges = [0, *cuts, len(text)]
        deltas = [text[start:end] for start, end in pairwise(edges)]
        assert filtered(deltas) == spoken


def test_text_without_tags_is_not_held_back() -> None:
    thinking = ThinkingFilter()
    assert thinking.feed("Hello, wor") == "Hello, wor"
    assert thinking.feed("ld <b") == "ld <b"
    assert thinking.feed(" <th") == " "
    assert thinking.feed("e end") == "<the end"
