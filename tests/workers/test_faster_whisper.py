"""Whisper on real speech: the short encoder window against the padded one."""

import asyncio
import csv
import re
from pathlib import Path

import ctranslate2
import jiwer
import numpy as np
import pytest

from antiphon_proto import models
from antiphon_proto.audio import read_wav
from antiphon_proto.errors import JobFailed, StartupError
from antiphon_proto.messages import Transcribe, Transcript
from antiphon_workers.engine import Engine
from antiphon_workers.stt import faster_whisper_engine, guards
from bench.gpu import whisper_checkpoints

from .engines import loaded, results

pytestmark = pytest.mark.models

DATA = Path(__file__).parents[1] / "data"
RATE_HZ = 16_000
WORDLESS = [
    path
    for path in sorted([*DATA.glob("coughs/*.wav"), *DATA.glob("nonspeech/*.wav")])
    if not path.stem.startswith("sneeze")
]
"""Of sneezes Whisper writes "Two!" and "Oh, no!", as sure as it is of words that short."""


@pytest.fixture(params=["spliced", "padded"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return loaded("stt", "faster-whisper", f"stt.encoder_window={request.param}")


async def transcribe(
    engine: Engine, pcm: bytes, language: str | None = None, prompt: str = ""
) -> Transcript:
    command = Transcribe(final=True, language=language, prompt=prompt)
    [(transcript, _)] = await results(engine, command, pcm)
    assert isinstance(transcript, Transcript)
    return transcript


def normalised(text: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("-", " ")).split())


def clips() -> list[tuple[str, bytes]]:
    """Return what is said in each clip, and its PCM16."""
    with (DATA / "speech" / "manifest.csv").open(encoding="utf-8") as file:
        return [
            (clip["transcript"], read_wav(DATA / "speech" / clip["file"])[0])
            for clip in csv.DictReader(file)
        ]


@pytest.mark.timeout(180)  # 53 s where the cores are slow and shared
async def test_the_words_of_many_speakers_are_heard_with_either_window() -> None:
    words = [normalised(said) for said, _ in clips()]
    rates = {}
    for window in ("spliced", "padded"):
        setting = f"stt.encoder_window={window}"
        engine = await asyncio.to_thread(loaded, "stt", "faster-whisper", setting)
        heard = [normalised((await transcribe(engine, pcm)).text) for _, pcm in clips()]
        rates[window] = jiwer.wer(words, heard)
    assert rates["padded"] < 0.15
    assert rates["spliced"] < rates["padded"] + 0.03


@pytest.mark.parametrize("speech_ms", [1_000, 3_000, 5_000])
async def test_the_spliced_window_encodes_the_speech_and_its_margin_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, speech_ms: int
) -> None:
    encode = ctranslate2.models.Whisper.encode
    encoded_frames: list[int] = []

    def noting(
        model: ctranslate2.models.Whisper, batch: ctranslate2.StorageView, *rest: bool, **more: bool
    ) -> ctranslate2.StorageView:
        encoded_frames.append(batch.shape[2])
        return encode(model, batch, *rest, **more)

    monkeypatch.setattr(ctranslate2.models.Whisper, "encode", noting)
    joined = b"".join(pcm for _, pcm in clips())
    await transcribe(engine, joined[: speech_ms * RATE_HZ // 1000 * 2])
    if engine.config.stt.encoder_window == "padded":
        assert encoded_frames == [3_000]
        return
    [frames] = encoded_frames
    speech_and_margin = max(speech_ms // 10 + 50, 300)
    assert speech_and_margin <= frames <= speech_and_margin + 2


@pytest.mark.parametrize("path", WORDLESS, ids=lambda path: path.stem)
async def test_sounds_that_are_no_speech_give_no_words(engine: Engine, path: Path) -> None:
    pcm, _ = read_wav(path)
    assert (await transcribe(engine, pcm)).text == ""


@pytest.mark.parametrize("level", [1.0, 0.5, 0.25])
@pytest.mark.parametrize("clip", ["voices/crowd", "voices/laugh_male2", "coughs/laugh_male"])
async def test_laughter_and_crowds_give_no_words_however_loud_they_are(
    clip: str, level: float
) -> None:
    spliced = await asyncio.to_thread(loaded, "stt", "faster-whisper")
    sound = np.frombuffer(read_wav(DATA / f"{clip}.wav")[0], "<i2")
    for start in range(0, RATE_HZ // 2, RATE_HZ // 10):
        pcm = (sound[start:] * level).astype("<i2").tobytes()
        assert (await transcribe(spliced, pcm)).text == ""


async def test_several_voices_at_once_are_not_taken_for_the_end_of_a_video(engine: Engine) -> None:
    voices = [np.frombuffer(pcm, "<i2").astype(np.float32) for _, pcm in clips()[:6]]
    babble = np.sum([np.resize(voice, 4 * RATE_HZ) for voice in voices], axis=0) / 6
    for start in range(0, 3 * RATE_HZ, RATE_HZ // 4):
        pcm = babble[start : start + RATE_HZ * 3 // 4].astype("<i2").tobytes()
        assert not guards.is_stock_phrase((await transcribe(engine, pcm)).text)


@pytest.mark.parametrize("milliseconds", [0, 1, 20, 60, 500, 3_000])
async def test_silence_of_any_length_gives_no_words(engine: Engine, milliseconds: int) -> None:
    assert (await transcribe(engine, bytes(milliseconds * RATE_HZ // 1000 * 2))).text == ""


@pytest.mark.parametrize("batch", [1, 2])
async def test_fast_speech_is_written_to_its_end(tmp_path: Path, batch: int) -> None:
    said = (
        "We took the early bus to the harbour, bought two loaves of bread and some cheese, walked "
        "along the wall until the rain came down, and then went home again."
    )
    spelling = await asyncio.to_thread(loaded, "stt", "faster-whisper")
    path = await asyncio.to_thread(
        whisper_checkpoints.make,
        tmp_path / "spelling",
        whisper_checkpoints.Size(width=64, heads=1, encoder_layers=1, decoder_layers=1),
        models.find("tiny.en", spelling.config.models.directory),
        said,
    )
    settings = (f"stt.model={path}", f"stt.batch={batch}", f"stt.slots={batch}")
    engine = await asyncio.to_thread(loaded, "stt", "faster-whisper", *settings)
    hiss = np.random.default_rng(1).normal(0, 1_000, 4 * RATE_HZ).astype("<i2").tobytes()
    assert (await transcribe(engine, hiss)).text == said


async def test_speech_longer_than_whispers_window_is_heard_to_its_end(engine: Engine) -> None:
    joined = b"".join(pcm for _, pcm in clips())
    assert len(joined) > 35 * RATE_HZ * 2
    heard = normalised((await transcribe(engine, joined)).text)
    assert "what time is it" in heard
    assert "crayfish" in heard
    assert heard.endswith("garland")


async def test_only_a_final_transcript_that_went_astray_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = await asyncio.to_thread(loaded, "stt", "faster-whisper")
    monkeypatch.setattr(guards, "LEAST_LOG_PROBABILITY", 0.0)
    said, pcm = clips()[0]
    [(partial, _)] = await results(engine, Transcribe(final=False), pcm)
    assert isinstance(partial, Transcript)
    assert partial.text == ""
    assert normalised((await transcribe(engine, pcm)).text) == normalised(said)


async def test_a_prefix_cut_in_mid_speech_does_not_run_away(engine: Engine) -> None:
    pcm, _ = read_wav(DATA / "speech" / "garland.wav")
    for milliseconds in range(800, 3_600, 400):
        transcript = await transcribe(engine, pcm[: milliseconds * RATE_HZ // 1000 * 2])
        assert len(transcript.text.split()) <= 2 + milliseconds / 200


async def test_full_scale_noise_is_survived(engine: Engine) -> None:
    generator = np.random.default_rng(7)
    loud = generator.integers(-32768, 32767, RATE_HZ, dtype=np.int16)
    await transcribe(engine, loud.astype("<i2").tobytes())


async def test_a_language_the_model_does_not_know_is_named(engine: Engine) -> None:
    with pytest.raises(JobFailed, match="'de'") as caught:
        await transcribe(engine, bytes(RATE_HZ * 2), language="de-DE")
    assert not caught.value.retryable


async def test_a_regional_language_code_is_understood(engine: Engine) -> None:
    pcm, _ = read_wav(DATA / "what_time_is_it.wav")
    transcript = await transcribe(engine, pcm, language="en-US")
    assert normalised(transcript.text) == "what time is it"
    assert transcript.language == "en"


async def test_a_prompt_does_not_become_part_of_the_transcript(engine: Engine) -> None:
    pcm, _ = read_wav(DATA / "what_time_is_it.wav")
    transcript = await transcribe(engine, pcm, prompt="A conversation about clocks.")
    assert normalised(transcript.text) == "what time is it"


def test_a_missing_cuda_library_is_named_with_what_installs_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_use(*_: object) -> None:
        raise RuntimeError("Library libcublas.so.12 is not found or cannot be loaded")

    monkeypatch.setattr(faster_whisper_engine.FasterWhisper, "_warm", first_use)
    with pytest.raises(StartupError, match="pip install nvidia-cublas-cu12"):
        engine.load()


def test_clips_encoded_in_one_call_have_the_states_they_have_alone() -> None:
    engine = loaded("stt", "faster-whisper", "stt.compute_type=float32", "stt.turn_end_model=")
    assert isinstance(engine, faster_whisper_engine.FasterWhisper)
    assert engine._encoder is not None
    speech = np.random.default_rng(1)
    short, long = (speech.uniform(-1, 1, (80, frames)).astype(np.float32) for frames in (90, 200))
    both = np.array(engine._encoder.encode(short, long))
    for row, mel in zip(both, (short, long), strict=True):
        np.testing.assert_allclose(row, np.array(engine._encoder.encode(mel))[0], atol=1e-3)
