"""Clauses: early first cut, whole sentences after it, no character lost, chunking irrelevant."""

import random

import pytest

from antiphon_gateway.clauses import MAX_CLAUSE_CHARACTERS, ClauseSplitter


def split(text: str, language: str = "en") -> list[str]:
    splitter = ClauseSplitter(language)
    clauses = splitter.feed(text) + splitter.finish()
    assert "".join(clauses) == text
    return [clause.strip() for clause in clauses]


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Sure thing, let me see.", ["Sure thing,", "let me see."]),
        ("Well, yes, you can.", ["Well, yes,", "you can."]),
        ("Here it is: a plan.", ["Here it is:", "a plan."]),
        ("It depends — some like it.", ["It depends —", "some like it."]),
        ("That is right; it rained.", ["That is right;", "it rained."]),
        ("Let me think… it is red.", ["Let me think…", "it is red."]),
        ("Hello! How are you?", ["Hello!", "How are you?"]),
        ("你好，我是助手。很高兴。", ["你好，", "我是助手。", "很高兴。"]),
    ],
)
def test_the_first_clause_ends_at_the_first_natural_place(text: str, clauses: list[str]) -> None:
    assert split(text) == clauses


def test_one_word_before_a_comma_is_no_clause() -> None:
    assert split("Yes, it is.") == ["Yes, it is."]


def test_a_first_sentence_without_punctuation_is_cut_before_a_joining_word() -> None:
    text = "I would take the early train downtown because it is never late."
    assert split(text) == ["I would take the early train downtown", "because it is never late."]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("I think this is the one you asked about in the morning today.", "you asked"),
        ("The capital of France is Paris.", "The capital of France"),
        ("He went all the way up the hill to where she lives.", "the hill"),
        ("Today is a wonderful day to visit Paris.", "a wonderful day"),
        ("You can definitely enjoy it with a glass of wine.", "enjoy it"),
    ],
)
def test_a_first_clause_without_a_mark_ends_where_a_speaker_could_pause(
    text: str, first: str
) -> None:
    assert split(text)[0].endswith(first)


@pytest.mark.parametrize(
    "text",
    [
        "He went up the hill.",
        "I think that it is.",
        "The best of the is not.",
        "So you will need to go.",
        "Then the answer of the in question.",
        "The distance between Mars and Earth.",
        "It costs around $100 to $150.",
        "What do you think it is?",
    ],
)
def test_no_clause_ends_in_a_word_that_leans_on_the_next(text: str) -> None:
    assert split(text) == [text]


def test_the_words_after_which_a_clause_may_end_without_a_mark_can_be_set() -> None:
    splitter = ClauseSplitter(phrase_words=9)
    text = "The capital of France is Paris."
    assert splitter.feed(text) + splitter.finish() == [text]


def test_in_a_hurry_later_sentences_are_cut_too() -> None:
    splitter = ClauseSplitter()
    assert splitter.feed("It rained all day. I ") == ["It rained all day. "]
    assert splitter.hurry(True) == []
    assert splitter.feed("saw that there was a king in the castle, and he slept. ") == [
        "I saw that there was a king "
    ]
    assert splitter.hurry(False) == []
    assert splitter.feed("Well, all of it is so, I") == ["in the castle, and he slept. "]


def test_hurry_cuts_what_was_left_whole_before() -> None:
    splitter = ClauseSplitter()
    splitter.feed("It rained all day. I saw that there was a king in the castle, and he")
    assert splitter.hurry(True) == ["I saw that there was a king "]
    assert splitter.hurry(True) == []
    assert splitter.finish() == ["in the castle, and he"]


def test_after_a_very_short_clause_the_next_one_is_early_too() -> None:
    assert split("Yes. I think so, and you?") == ["Yes.", "I think so,", "and you?"]


def test_later_clauses_are_whole_sentences() -> None:
    text = "It rained today. When it stops, we can go out, if you like. Is that fine?"
    assert split(text) == [
        "It rained today.",
        "When it stops, we can go out, if you like.",
        "Is that fine?",
    ]


def test_the_first_clause_is_out_as_soon_as_the_next_word_begins() -> None:
    splitter = ClauseSplitter()
    assert splitter.feed("The capital is Paris.") == []
    assert splitter.feed(" ") == []
    assert splitter.feed("I") == ["The capital is Paris. "]


@pytest.mark.parametrize(
    "text",
    [
        "Pi is about 3.14 or so.",
        "It costs 1,000 dollars.",
        "Dr. Smith met Mrs. Jones.",
        "She lives in the U.S. Army base.",
        "The train leaves at 10:30 sharp.",
        "See https://example.com/a,b.c?d=1;e for more.",
        "See www.example.com today.",
        "Fruit, e.g., apples.",
        "On May 5, 2024 it rained.",
        "It is 5 - 3 here.",
        "It opens at 5 p.m. on Sunday.",
        "J. K. Rowling wrote it.",
        "Version 2.0.1 is out.",
        "No. 5 is alive.",
        "Use `a, b. C` here.",
        "A list (one, two. Three) here.",
        "Read [this, or that](https://example.com).",
        "1. First do this.",
        "A well-known thing.",
    ],
)
def test_numbers_abbreviations_addresses_and_brackets_stay_whole(text: str) -> None:
    assert split(text) == [text]


def test_an_abbreviation_can_end_a_sentence() -> None:
    assert split("I live in the U.S. It is big.") == ["I live in the U.S.", "It is big."]


def test_lines_and_list_items_are_clauses() -> None:
    text = "1. Wash the rice, then soak it\n2. Boil it\n\nThat is all"
    assert split("Do so now.\n" + text)[1:] == [
        "1. Wash the rice, then soak it",
        "2. Boil it",
        "That is all",
    ]


def test_a_code_block_is_one_clause_whatever_is_in_it() -> None:
    code = "```python\n" + "print('a, b. C')\n\n" * 40 + "```"
    assert split(f"Here you are. {code}\nThat is it.") == ["Here you are.", code, "That is it."]


def test_a_long_sentence_is_cut_at_a_comma() -> None:
    start = "Once upon a time there was a king. "
    long = "and he had " + "very " * 20 + "old boots, which he wore every day"
    assert split(start + long + ".") == [
        start.strip(),
        long.split(",")[0] + ",",
        "which he wore every day.",
    ]


def test_endless_text_is_cut_at_a_space() -> None:
    clauses = split("word " * 200)
    assert all(len(clause) <= MAX_CLAUSE_CHARACTERS for clause in clauses)
    assert all(set(clause.split()) == {"word"} for clause in clauses)


def test_text_without_spaces_is_cut_in_the_end() -> None:
    assert [len(clause) for clause in split("x" * 900)] == [200, 200, 200, 200, 100]


@pytest.mark.parametrize("text", ["", " ", "\n\n \n"])
def test_blank_text_has_no_clauses(text: str) -> None:
    splitter = ClauseSplitter()
    assert splitter.feed(text) + splitter.finish() == []


@pytest.mark.parametrize(
    ("language", "text", "count"),
    [
        ("de", "Das ist z.B. Herr Dr. Müller. Er ist nett.", 2),
        ("es", "Hola a todos. ¿Qué tal? ¡Muy bien!", 3),
        ("ru", "Привет всем. Как дела?", 2),
        ("hi", "नमस्ते दोस्त। कैसे हो?", 2),
        ("xx", "Yes it is. No matter.", 2),
    ],
)
def test_other_languages_are_split_at_their_sentences(language: str, text: str, count: int) -> None:
    assert len(split(text, language)) == count


FRAGMENTS = [
    *("Hello", "the", "cat", "and", "because", "U.S.", "Dr.", "e.g.", "p.m.", "It", "I", "A"),
    *("3.14", "1,000", "10:30", "5", "2024", "well-known", "don't", "naïve", "猫。", "你好，", "x"),
    *(".", "!", "?", "...", "…", ",", ";", ":", "—", "-", "–", "(", ")", "[", "]", '"', "**", "`"),
    *("```", "``", "\n", "\n\n", "\n- ", "\n1. ", "\t", "😊", "https://a.b/c,d", "\u00a0", "\r\n"),
    *("Wonderful", "extraordinarily" * 3, "y" * 230, " " * 30),
]


def random_text(rng: random.Random) -> str:
    glue = rng.choice(["", " ", " ", " "])
    return glue.join(rng.choice(FRAGMENTS) for _ in range(rng.randrange(1, 120)))


def is_unbreakable(clause: str) -> bool:
    """Tell whether a clause is a code block or one single word."""
    return "```" in clause or len(clause.split()) == 1


def in_chunks(text: str, rng: random.Random) -> list[str]:
    splitter = ClauseSplitter()
    clauses: list[str] = []
    start = 0
    while start < len(text):
        end = start + rng.choice([1, 1, 2, 3, 5, 8, 40, 400])
        clauses += splitter.feed(text[start:end])
        start = end
    return clauses + splitter.finish()


@pytest.mark.parametrize("seed", range(400))
def test_any_text_is_kept_whole_and_cut_alike_however_it_arrives(seed: int) -> None:
    rng = random.Random(seed)
    text = random_text(rng)
    clauses = in_chunks(text, rng)
    assert "".join(clauses) == (text if text.strip() else "")
    assert all(clause.strip() for clause in clauses)
    assert in_chunks(text, rng) == clauses
    for clause in clauses:
        assert len(clause.strip()) <= MAX_CLAUSE_CHARACTERS or is_unbreakable(clause)
