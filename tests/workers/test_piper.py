"""Piper: streamed, repeatable, trimmed speech."""

import asyncio

import msgspec
import numpy as np
import pytest

from antiphon_proto import models
from antiphon_proto.audio import pcm16_to_float
from antiphon_proto.messages import AudioDelta, SpokenWord, Synthesize
from antiphon_workers.engine import Engine
from antiphon_workers.tts import piper_engine, piper_graph, piper_stream
from antiphon_workers.tts.pauses import PAUSES_MS, PHRASE_PAUSE_MS, pause_after_ms
from antiphon_workers.tts.piper_text import speakable_pieces

from .engines import job, loaded, results

pytestmark = pytest.mark.models

SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank."
A_MIDDLE_SENTENCE = (
    "You can change trains at the second station and then walk across the old stone bridge."
)
A_LONG_SENTENCE = (
    "When the rain had stopped at last they took the early bus down to the harbour, bought two "
    "loaves of bread and some cheese, and walked along the wall until the lights of the town "
    "came on behind them."
)
RATE_HZ = 22_050


@pytest.fixture
def engine() -> Engine:
    return loaded("tts", "piper")


@pytest.fixture
def untrimmed_engine() -> Engine:
    return loaded("tts", "piper", "tts.trim_lead=false")


async def spoken(engine: Engine, text: str, speed: float = 1.0) -> list[tuple[AudioDelta, bytes]]:
    made = await results(engine, Synthesize(text=text, voice="", speed=speed))
    kept = [(body, pcm) for body, pcm in made if isinstance(body, AudioDelta)]
    assert len(kept) == len(made)
    assert all(body.sample_rate_hz == RATE_HZ for body, _ in kept)
    return kept


async def speak(engine: Engine, text: str, speed: float = 1.0) -> list[bytes]:
    return [pcm for _, pcm in await spoken(engine, text, speed)]


def words(text: str, said: list[tuple[AudioDelta, bytes]]) -> list[tuple[str, SpokenWord]]:
    """Return the words of a text as the engine places them, in all chunks."""
    placed = [word for body, _ in said for word in body.words]
    ends = [0, *(word.end_character for word in placed)]
    return [
        (text[start:end].strip(), word)
        for start, end, word in zip(ends, ends[1:], placed, strict=False)
    ]


async def test_the_same_text_gives_the_same_samples(engine: Engine) -> None:
    assert await speak(engine, SENTENCE) == await speak(engine, SENTENCE)


def test_the_parts_of_a_streamed_sentence_are_the_samples_of_the_uncut_voice(
    engine: Engine,
) -> None:
    assert isinstance(engine, piper_engine.Piper)
    assert isinstance(engine._voice, piper_stream.StreamingVoice)
    directory = models.find(engine.config.tts.model, engine.config.models.directory)
    model = piper_graph.load_seeded(piper_engine._onnx(directory))
    session = piper_stream._session(model.SerializeToString(), engine.config.tts.threads)
    uncut = piper_stream.WholeVoice(session, engine._text.hop_samples)
    for text in ("The last train leaves at eleven.", A_MIDDLE_SENTENCE, A_LONG_SENTENCE):
        [sentence] = engine._text.sentences(text)
        [whole] = uncut.render(sentence.inputs).parts(0, None)
        parts = list(engine._voice.render(sentence.inputs).parts(0, None))
        assert len(parts) > 3
        streamed = np.concatenate(parts)
        assert len(streamed) == len(whole)
        assert np.abs(streamed - whole).max() < piper_stream._TOLERANCE


async def test_audio_comes_in_chunks_of_a_tenth_of_a_second_after_the_first(
    engine: Engine,
) -> None:
    first, *chunks, last = await speak(engine, SENTENCE)
    assert 0.04 * RATE_HZ * 2 <= len(first) < 0.2 * RATE_HZ * 2
    assert {len(chunk) for chunk in chunks} == {RATE_HZ // 10 * 2}
    assert 0 < len(last) <= RATE_HZ // 10 * 2
    assert len(chunks) > 20


async def test_speech_starts_at_once_and_ends_with_a_short_pause(engine: Engine) -> None:
    samples = pcm16_to_float(b"".join(await speak(engine, SENTENCE)))
    [loud] = np.nonzero(np.abs(samples) > 10 ** (-50 / 20))
    assert loud[0] <= 0.006 * RATE_HZ
    assert len(samples) - 1 - loud[-1] == PAUSES_MS["."] * RATE_HZ // 1000
    assert 0.3 < np.abs(samples).max() <= 1.0


async def test_the_near_silence_before_it_is_kept_when_that_is_wanted(
    engine: Engine, untrimmed_engine: Engine
) -> None:
    trimmed, whole = [
        pcm16_to_float(b"".join(await speak(one, SENTENCE))) for one in (engine, untrimmed_engine)
    ]
    first_sounds_ms = [
        np.flatnonzero(np.abs(samples) > 10 ** (-50 / 20))[0] / RATE_HZ * 1000
        for samples in (trimmed, whole)
    ]
    assert first_sounds_ms[0] <= 6
    assert first_sounds_ms[1] > 10
    assert len(whole) > len(trimmed)


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
    assert pieces[0] == (0, "One two three.")
    assert all(len(piece) <= 25 for _, piece in pieces)
    assert " ".join(piece for _, piece in pieces) == text
    assert all(text[start:].startswith(piece) for start, piece in pieces)


def test_raw_phoneme_brackets_are_taken_out() -> None:
    [(start, piece)] = speakable_pieces("say [[ this ]] or [[[[ that", 100)
    assert (start, len(piece)) == (0, len("say [[ this ]] or [[[[ that"))
    assert "[[" not in piece


@pytest.mark.parametrize(
    "text",
    [
        SENTENCE,
        "Hello! How are you? I am one of the best.",
        "On May 5, 2024 it cost 1,250.50 dollars in the U.S. at 10:30 p.m.",
        "Well - it is a so-called e-mail, and (of course) \N{EM DASH} it is in the evening.",
        "  two   spaces  and a line\nbreak ",
        "\N{EM DASH} x^2 & y /z",
        "Many words, and more of them, come one after the other. " * 10,
    ],
)
async def test_every_word_is_placed_in_the_audio_in_order(engine: Engine, text: str) -> None:
    said = await spoken(engine, text)
    placed = words(text, said)
    assert [word for word, _ in placed] == text.split()
    end, heard = 0, b"".join(pcm for _, pcm in said)
    for _, word in placed:
        assert word.pause_samples >= 0
        assert word.end_sample >= end + word.pause_samples
        end = word.end_sample
    assert 0 <= len(heard) // 2 - end < 0.35 * RATE_HZ


async def test_words_come_with_the_audio_that_they_end_in(engine: Engine) -> None:
    start = 0
    for body, pcm in await spoken(engine, SENTENCE):
        end = start + len(pcm) // 2
        assert all(start < word.end_sample <= end for word in body.words)
        start = end


async def test_a_pause_between_sentences_belongs_to_no_word(engine: Engine) -> None:
    text = "It rained. Then it stopped."
    placed = dict(words(text, await spoken(engine, text)))
    assert placed["Then"].pause_samples > 0.12 * RATE_HZ
    assert placed["it"].pause_samples < 0.08 * RATE_HZ


async def test_the_rest_of_its_sentence_shapes_a_part_and_is_not_spoken(engine: Engine) -> None:
    alone = await spoken(engine, "The capital of France")
    command = Synthesize(text="The capital of France", voice="", following=" is Paris.")
    within = await results(engine, command)
    ends = [word.end_character for body, _ in within for word in _words(body)]
    assert ends == [3, 11, 14, 21]
    assert b"".join(pcm for _, pcm in within) != b"".join(pcm for _, pcm in alone)
    lengths = [sum(len(pcm) for _, pcm in made) for made in (alone, within)]
    assert abs(lengths[0] - lengths[1]) < 0.4 * 2 * RATE_HZ


async def test_the_parts_of_a_sentence_are_its_own_samples_when_all_of_it_is_known(
    engine: Engine,
) -> None:
    whole = b"".join(await speak(engine, "The capital of France is Paris."))
    command = Synthesize(text="is Paris.", voice="", preceding="The capital of France ")
    part = await results(engine, command)
    assert [word.end_character for body, _ in part for word in _words(body)] == [2, 9]
    tail = pcm16_to_float(b"".join(pcm for _, pcm in part))[RATE_HZ // 10 :]
    difference = tail - pcm16_to_float(whole)[-len(tail) :]
    assert np.abs(difference).max() < 2e-4


async def test_context_in_other_sentences_is_survived(engine: Engine) -> None:
    command = Synthesize(text="Yes. I do", voice="", preceding="Do you? ", following=" so. Well")
    made = await results(engine, command)
    assert [word.end_character for body, _ in made for word in _words(body)] == [4, 6, 9]


def _words(body: object) -> tuple[SpokenWord, ...]:
    assert isinstance(body, AudioDelta)
    return body.words


@pytest.mark.parametrize(
    ("text", "pause_ms"),
    [
        ("It is.", PAUSES_MS["."]),
        ("Is it?\u201d", PAUSES_MS["?"]),
        ("Well,", PAUSES_MS[","]),
        ("so it is \N{EM DASH}", PAUSES_MS["\N{EM DASH}"]),
        ("3.14", PHRASE_PAUSE_MS),
        ("in the", PHRASE_PAUSE_MS),
    ],
)
def test_the_pause_behind_a_text_follows_from_its_last_mark(text: str, pause_ms: int) -> None:
    assert pause_after_ms(text) == pause_ms


async def test_a_clause_that_is_wanted_now_overtakes_those_that_are_not(engine: Engine) -> None:
    ended: list[str] = []
    all_begun = asyncio.Barrier(9)

    async def say(name: str, patience_ms: int) -> None:
        command = Synthesize(text=SENTENCE, voice="")
        wanted = msgspec.structs.replace(job(command, name), patience_ms=patience_ms)
        steps = engine.run(wanted, b"")
        if patience_ms:
            await anext(steps)
            await all_begun.wait()
        async for _ in steps:
            pass
        ended.append(name)

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(say(f"later {number}", 60_000))
        await all_begun.wait()
        group.create_task(say("now", 0))
    assert ended[0] == "now"
