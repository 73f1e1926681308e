"""Telling a transcript from a decoder that went astray. Pure."""

import re
import zlib

MOST_TOKENS_PER_SECOND = 9
SPARE_TOKENS = 14
MOST_COMPRESSION = 2.2
LEAST_LOG_PROBABILITY = -1.0
NO_SPEECH_PROBABILITY = 0.6
NOISE_PROBABILITY = 0.7
"""Above any of 620 stretches of real speech, 0.3 s and longer, on tiny.en (highest: 0.64)."""
NOISE_LOG_PROBABILITY = -0.5
SPLICED_NOISE_PROBABILITY = 0.5
"""The same for a window that ends with its speech. Of 638 stretches of real speech of 0.5 s and
longer, in silence and in noise at 10 dB, none is above it and unsure; of 166 scraps of 0.3 s nine
are. Crowds, most laughter and half of all screams are."""
STOCK_PROBABILITY = 0.4
"""Of 448 stretches of real speech, those of 0.8 s and longer hardly reach it; clear speech has 0.12
at most."""
STOCK_LOG_PROBABILITY = -0.4
_STOCK_PHRASES = frozenset(
    """
    thank you
    thank you so much
    thank you very much
    thank you for watching
    thanks for watching
    thank you for listening
    see you next time
    i will see you next time
    we will see you next time
    so we will see you next time
    see you in the next video
    let us know in the comments below
    let me know in the comments below
    please subscribe
    bye
    bye bye
    you
    """.strip().split("\n    ")
)
"""What Whisper writes of several voices at once and of scraps of words: ends of the videos whose
subtitles it was trained on."""
_LAUGHTER = re.compile(r"ha+h?|a?(?:h[aeo]h?){2,}|(?:huh){3,}")
_REPEATS = 4
_LONGEST_REPEATED_WORDS = 6
_LONGEST_LOOP_WORDS = 24


def most_tokens(seconds: float) -> int:
    """Return how many tokens speech of this length can hold."""
    return int(MOST_TOKENS_PER_SECOND * seconds) + SPARE_TOKENS


def is_loop(text: str, tokens: int, seconds: float) -> bool:
    """Tell whether the text is too long for its audio, or repeats itself."""
    return tokens >= most_tokens(seconds) or is_repetitive(text)


def is_repetitive(text: str) -> bool:
    """Tell whether the text compresses too well or says some words four times in a row."""
    if _compresses(text):
        return True
    words = text.lower().split()
    return any(
        words[start : start + length] * _REPEATS == words[start : start + length * _REPEATS]
        for length in range(1, _LONGEST_REPEATED_WORDS + 1)
        for start in range(len(words) - length * _REPEATS + 1)
    )


def without_loop(text: str) -> str:
    """Return a text that compresses too well with what it says four times in a row said once.

    Of babble even the last of several draws repeats a sentence to its end, the last time in part.
    What is said behind a loop is kept. A loop inside a word, which laughter gets, is dropped.
    """
    if not _compresses(text):
        return text
    words = [word for word in text.split() if not _compresses(word)]
    plain = [word.lower().strip(",.!?") for word in words]
    kept: list[str] = []
    at = 0
    while at < len(words):
        length = _loop_words(plain, at)
        kept += words[at : at + max(length, 1)]
        once = plain[at : at + length]
        at += max(length, 1)
        while length and plain[at : at + length] == once:
            at += length
        if length and plain[at:] == once[: len(plain) - at]:
            break
    return " ".join(kept)


def _compresses(text: str) -> bool:
    encoded = text.encode()
    return len(encoded) > MOST_COMPRESSION * len(zlib.compress(encoded))


def _loop_words(plain: list[str], start: int) -> int:
    """Return how many words are said four times in a row from here; 0 when none are."""
    longest = min(_LONGEST_LOOP_WORDS, (len(plain) - start) // _REPEATS)
    for length in range(1, longest + 1):
        once = plain[start : start + length]
        if once * _REPEATS == plain[start : start + length * _REPEATS]:
            return length
    return 0


def is_no_speech(
    no_speech_probability: float,
    average_log_probability: float,
    text: str = "",
    noise_probability: float = NOISE_PROBABILITY,
) -> bool:
    """Tell whether nobody spoke: the model says so, and is unsure of what it wrote.

    Steady noise over a short window makes it sure of a "you", but surer still of no speech. Of a
    phrase that it often writes of nothing it has to be surer than of others. `noise_probability`
    is that of the window: over 30 s, most of them silent, 3 of 210 stretches of speech are above
    0.5 and unsure.
    """
    if is_stock_phrase(text) and (
        no_speech_probability > STOCK_PROBABILITY
        and average_log_probability < STOCK_LOG_PROBABILITY
    ):
        return True
    return (
        no_speech_probability > NO_SPEECH_PROBABILITY
        and average_log_probability < LEAST_LOG_PROBABILITY
    ) or (
        no_speech_probability > noise_probability
        and average_log_probability < NOISE_LOG_PROBABILITY
    )


def is_guess(no_speech_probability: float, average_log_probability: float) -> bool:
    """Tell whether a second opinion, which is drawn by chance, is as unsure as the first one of
    words where nobody may have spoken: slammed doors and music get any sentence.

    Of 48 recordings of up to 3.7 s of speech none is one.
    """
    return (
        no_speech_probability > STOCK_PROBABILITY
        and average_log_probability < LEAST_LOG_PROBABILITY
    )


def words_of(text: str) -> str:
    """Return the text, or nothing when it is all marks, as of music, or all laughter."""
    letters = "".join(character for character in text.lower() if character.isalnum())
    return text if letters and not _LAUGHTER.fullmatch(letters) else ""


def is_stock_phrase(text: str) -> bool:
    """Tell whether a text is one that Whisper writes of sounds without words."""
    return " ".join(re.findall(r"[a-z']+", text.lower())) in _STOCK_PHRASES
