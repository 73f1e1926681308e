"""Whisper on a graphics card hears what a processor does, in every number format, one and many."""

import asyncio
import csv
import re
from pathlib import Path

import jiwer
import pytest

from antiphon_proto.audio import read_wav
from antiphon_proto.messages import Transcribe, Transcript
from antiphon_workers.engine import Engine
from tests.workers.engines import loaded, results

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]

SPEECH = Path(__file__).parents[1] / "data" / "speech"
BATCH = 8


def clips() -> list[tuple[str, bytes]]:
    """Return what is said in each clip, and its PCM16."""
    with (SPEECH / "manifest.csv").open(encoding="utf-8") as file:
        return [
            (clip["transcript"], read_wav(SPEECH / clip["file"])[0])
            for clip in csv.DictReader(file)
        ]


def normalised(text: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("-", " ")).split())


async def engine(device: str, compute_type: str, *settings: str) -> Engine:
    chosen = (f"stt.device={device}", f"stt.compute_type={compute_type}", *settings)
    return await asyncio.to_thread(loaded, "stt", "faster-whisper", *chosen)


async def heard(engine: Engine, pcm: bytes) -> str:
    [(transcript, _)] = await results(engine, Transcribe(final=True), pcm)
    assert isinstance(transcript, Transcript)
    return normalised(transcript.text)


@pytest.mark.parametrize("window", ["spliced", "padded"])
async def test_the_words_of_many_speakers_are_heard(
    device: str, compute_type: str, window: str
) -> None:
    whisper = await engine(device, compute_type, f"stt.encoder_window={window}")
    said = [normalised(words) for words, _ in clips()]
    assert jiwer.wer(said, [await heard(whisper, pcm) for _, pcm in clips()]) < 0.15


async def test_few_words_are_others_than_the_processors(device: str, compute_type: str) -> None:
    processor, card = await engine("cpu", "float32"), await engine(device, compute_type)
    one, other = [[await heard(each, pcm) for _, pcm in clips()] for each in (processor, card)]
    assert jiwer.wer(one, other) < 0.08


async def test_many_at_once_are_heard_as_well_in_one_pass(device: str, compute_type: str) -> None:
    settings = (f"stt.batch={BATCH}", f"stt.slots={BATCH}", "stt.turn_end_model=")
    many = await engine(device, compute_type, *settings)
    said = [normalised(words) for words, _ in clips()]
    found: list[str] = []
    for start in range(0, len(said), BATCH):
        together = [heard(many, pcm) for _, pcm in clips()[start : start + BATCH]]
        found += await asyncio.gather(*together)
    assert jiwer.wer(said, found) < 0.15
    assert max(many._batcher.sizes) > 1  # type: ignore[attr-defined]
