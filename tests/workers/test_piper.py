"""Piper: streamed, repeatable, trimmed speech."""

import numpy as np
import pytest

from antiphon_proto.audio import pcm16_to_float
from antiphon_proto.messages import AudioDelta, Synthesize
from antiphon_workers.engine import Engine
from antiphon_workers.tts.piper_engine import speakable_pieces

from .engines import loaded, results

pytestmark = pytest.mark.models

SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank."
RATE_HZ = 22_050


@pytest.fixture
def engine() -> Engine:
    return loaded("tts", "piper")


async def speak(engine: Engine, text: str, speed: float = 1.0) -> list[bytes]:
    made = await results(engine, Synthesize(text=text, voice="", speed=speed))
    assert all(body == AudioDelta(sample_rate_hz=RATE_HZ) for body, _ in made)
    return [pcm for _, pcm in made]


async def test_the_same_text_gives_the_same_samples(engine: Engine) -> None:
    assert await speak(engine, SENTENCE) == await speak(engine, SENTENCE)


async def test_audio_comes_in_chunks_of_a_tenth_of_a_second(engine: Engine) -> None:
    *chunks, last = await speak(engine, SENTENCE)
    assert {len(chunk) for chunk in chunks} == {RATE_HZ // 10 * 2}
    assert 0 < len(last) <= RATE_HZ // 10 * 2
    assert len(chunks) > 20


async def test_speech_starts_at_once_and_ends_with_a_short_pause(engine: Engine) -> None:
    samples = pcm16_to_float(b"".join(await speak(engine, SENTENCE)))
    [loud] = np.nonzero(np.abs(samples) > 10 ** (-50 / 20))
    assert loud[0] <= 0.021 * RATE_HZ
    assert 0.02 * RATE_HZ < len(samples) - loud[-1] <= 0.23 * RATE_HZ
    assert 0.3 < np.abs(samples).max() <= 1.0


async def test_speed_shortens_the_speech(engine: Engine) -> None:
    usual = len(b"".join(await speak(engine, SENTENCE)))
    fast = len(b"".join(await speak(engine, SENTENCE, speed=2.0)))
    slow = len(b"".join(await speak(engine, SENTENCE, speed=0.5)))
    assert fast < 0.7 * usual
    assert slow > 1.5 * usual


@pytest.mark.parametrize("text", ["", "   ", "...", "?!", "\N{GRINNING FACE}", "—", "\n\n"])
async def test_text_without_a_word_gives_no_audio(engine: Engine, text: str) -> None:
    assert await speak(engine, text) == []


@pytest.mark.parametrize(
    "text", ["[[ h ]]", "a\x00b", "<speak>hello</speak>", "x" * 450, "no stop " * 60]
)
async def test_odd_text_is_survived(engine: Engine, text: str) -> None:
    assert await speak(engine, text)


def test_long_text_is_cut_at_sentences_and_spaces() -> None:
    text = "One two three. Four five six seven eight nine ten eleven."
    pieces = list(speakable_pieces(text, 25))
    assert pieces[0] == "One two three."
    assert all(len(piece) <= 25 for piece in pieces)
    assert " ".join(pieces) == text


def test_raw_phoneme_brackets_are_taken_out() -> None:
    assert "[[" not in "".join(speakable_pieces("say [[ this ]] or [[[[ that", 100))
