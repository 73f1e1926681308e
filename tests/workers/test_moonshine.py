"""Moonshine on real speech; its tokens; long audio."""

import csv
import re
from pathlib import Path

import jiwer
import numpy as np
import pytest

from antiphon_proto.audio import read_wav
from antiphon_proto.config import load
from antiphon_proto.errors import JobFailed, StartupError
from antiphon_proto.messages import Transcribe, Transcript
from antiphon_workers.engine import Engine
from antiphon_workers.registry import create
from antiphon_workers.stt.moonshine_text import LONGEST_S, pieces, read_tokens, text_of

from .engines import loaded, results

DATA = Path(__file__).parents[1] / "data"
RATE_HZ = 16_000


@pytest.fixture
def engine() -> Engine:
    return loaded("stt", "moonshine")


async def transcribe(engine: Engine, pcm: bytes, language: str | None = None) -> Transcript:
    [(transcript, _)] = await results(engine, Transcribe(final=True, language=language), pcm)
    assert isinstance(transcript, Transcript)
    return transcript


def normalised(text: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("-", " ")).split())


def clips() -> list[tuple[str, bytes]]:
    with (DATA / "speech" / "manifest.csv").open(encoding="utf-8") as file:
        return [
            (normalised(clip["transcript"]), read_wav(DATA / "speech" / clip["file"])[0])
            for clip in csv.DictReader(file)
        ]


@pytest.mark.models
async def test_the_words_of_many_speakers_are_heard(engine: Engine) -> None:
    heard = [normalised((await transcribe(engine, pcm)).text) for _, pcm in clips()]
    assert jiwer.wer([said for said, _ in clips()], heard) < 0.2


@pytest.mark.models
async def test_a_transcript_tells_how_sure_it_is(engine: Engine) -> None:
    pcm, _ = read_wav(DATA / "what_time_is_it.wav")
    sure = await transcribe(engine, pcm)
    assert "time" in sure.text
    assert -0.5 < sure.average_log_probability < 0.0
    assert sure.language == "en"


@pytest.mark.models
@pytest.mark.parametrize("samples", [0, 10, RATE_HZ // 20, RATE_HZ])
async def test_hardly_any_audio_and_silence_give_no_words(engine: Engine, samples: int) -> None:
    assert (await transcribe(engine, bytes(2 * samples))).text == ""


@pytest.mark.models
async def test_speech_longer_than_a_piece_is_heard_whole(engine: Engine) -> None:
    chosen = clips()[:6]
    pcm = b"".join(pcm + bytes(RATE_HZ) for _, pcm in chosen)
    while len(pcm) < 2 * RATE_HZ * 2 * LONGEST_S:
        chosen, pcm = chosen * 2, pcm * 2
    heard = normalised((await transcribe(engine, pcm)).text)
    assert jiwer.wer(" ".join(said for said, _ in chosen), heard) < 0.3


@pytest.mark.models
async def test_another_language_is_refused(engine: Engine) -> None:
    assert (await transcribe(engine, bytes(RATE_HZ), "en-GB")).language == "en"
    with pytest.raises(JobFailed, match="'de'") as caught:
        await transcribe(engine, bytes(RATE_HZ), "de")
    assert caught.value.code == "unsupported_language"


@pytest.mark.models
def test_a_model_of_another_engine_is_answered_with_the_one_to_set() -> None:
    engine = create("stt", load(environment={}, settings=["stt.engine=moonshine"]))
    with pytest.raises(StartupError, match=r"stt\.model=moonshine-tiny-en"):
        engine.load()


def test_tokens_are_byte_strings_behind_their_lengths() -> None:
    long = b"x" * 300
    file = b"\x02ab" + b"\x00" + bytes([128 + 300 % 128, 300 // 128]) + long
    assert read_tokens(file) == [b"ab", b"", long]
    for cut in (b"\x05ab", b"\x81"):
        with pytest.raises(ValueError, match="ends in"):
            read_tokens(cut)


def test_marks_are_no_words() -> None:
    tokens = [b"<unk>", b"<s>", b"</s>", "\u2581so".encode(), "\u2581\u00e9".encode()[:-1], b"\xa9"]
    assert text_of(tokens, [1, 3, 4, 5, 2]) == "so \u00e9"


def test_long_audio_is_cut_where_it_is_quietest_and_nothing_is_lost() -> None:
    audio = np.random.default_rng(1).normal(0, 0.1, int(50 * RATE_HZ)).astype(np.float32)
    quiet = int(17.0 * RATE_HZ)
    audio[quiet : quiet + RATE_HZ // 4] = 0.0
    parts = list(pieces(audio, RATE_HZ))
    assert quiet < len(parts[0]) < quiet + RATE_HZ // 4
    assert all(len(part) <= LONGEST_S * RATE_HZ for part in parts)
    assert np.array_equal(np.concatenate(parts), audio)
