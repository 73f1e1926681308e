"""The end-of-turn model, beside any speech-to-text engine."""

import asyncio
import csv
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest

from antiphon_proto.audio import pcm16_to_float, read_wav
from antiphon_proto.config import load
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import Job, PredictTurnEnd, Transcribe, Transcript, TurnEnd
from antiphon_workers.engine import Engine, Step
from antiphon_workers.registry import create
from antiphon_workers.stt.log_mel import log_mel
from antiphon_workers.stt.turn_end import WithTurnEnd

from .engines import loaded, results

SPEECH = Path(__file__).parents[1] / "data" / "speech"
RATE_HZ = 16_000


class Held(Engine):
    """An engine whose one transcript waits for leave."""

    stage = "stt"

    def __init__(self) -> None:
        super().__init__(load(environment={}))
        self.leave = asyncio.Event()

    def load(self) -> None:
        """Load nothing."""

    async def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        await self.leave.wait()
        yield Transcript(text="held"), b""


async def probability(engine: Engine, pcm: bytes) -> float:
    [(answer, payload)] = await results(engine, PredictTurnEnd(), pcm)
    assert isinstance(answer, TurnEnd)
    assert not payload
    return answer.probability


def spoken(share: float, silence_ms: int) -> list[bytes]:
    """Return a share of each clip's speech, and what follows it for a while, as PCM16."""
    with (SPEECH / "manifest.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    clips = []
    for row in rows:
        start, end = float(row["vad_start"]), float(row["vad_end"])
        seconds = start + share * (end - start) + silence_ms / 1000
        clips.append(read_wav(SPEECH / row["file"])[0][: 2 * int(seconds * RATE_HZ)])
    return clips


@pytest.mark.models
async def test_finished_speech_is_told_from_speech_going_on() -> None:
    engine = await asyncio.to_thread(loaded, "stt", "faster-whisper")
    ends = [await probability(engine, pcm) for pcm in spoken(1.0, silence_ms=300)]
    inner = [await probability(engine, pcm) for pcm in spoken(0.7, silence_ms=0)]
    assert all(0.0 <= one <= 1.0 for one in ends + inner)
    assert np.mean(np.array(ends) > 0.5) >= 0.8
    assert np.mean(ends) > np.mean(inner) + 0.3


@pytest.mark.models
@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.3, 8.0, 30.0])
async def test_audio_of_any_length_is_answered(seconds: float) -> None:
    engine = await asyncio.to_thread(loaded, "stt", "faster-whisper")
    assert 0.0 <= await probability(engine, bytes(2 * int(seconds * RATE_HZ))) <= 1.0


@pytest.mark.models
async def test_only_the_newest_eight_seconds_count() -> None:
    engine = await asyncio.to_thread(loaded, "stt", "faster-whisper")
    newest = (spoken(1.0, silence_ms=300)[0] * 8)[-2 * 8 * RATE_HZ :]
    loud = np.random.default_rng(7).integers(-9_000, 9_000, RATE_HZ, dtype="<i2").tobytes()
    assert await probability(engine, loud + newest) == await probability(engine, newest)


@pytest.mark.models
async def test_the_end_is_told_while_transcripts_hold_their_slots() -> None:
    held = Held()
    engine = WithTurnEnd(held.config, held)
    await asyncio.to_thread(engine.load)
    try:
        async with asyncio.TaskGroup() as group:
            waiting = [
                group.create_task(results(engine, Transcribe(final=True)))
                for _ in range(held.slots)
            ]
            assert held.slots < engine.slots
            await probability(engine, bytes(RATE_HZ))
            assert not any(task.done() for task in waiting)
            held.leave.set()
    finally:
        await asyncio.to_thread(engine.close)


@pytest.mark.models
async def test_without_a_model_nothing_is_known_of_the_end() -> None:
    engine = await asyncio.to_thread(loaded, "stt", "faster-whisper", "stt.turn_end_model=")
    assert await results(engine, PredictTurnEnd(), bytes(RATE_HZ)) == []


@pytest.mark.models
def test_a_missing_model_names_the_command_that_installs_it(tmp_path: Path) -> None:
    engine = create("stt", load(environment={}, settings=[f"models.cache_dir={tmp_path}"]))
    with pytest.raises(StartupError, match="run: antiphon models pull smart-turn"):
        engine.load()


@pytest.mark.models
def test_another_model_in_its_place_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"not a model" * 100)
    settings = [f"stt.turn_end_model={wrong}"]
    engine = create("stt", load(environment={}, settings=settings))
    with pytest.raises(StartupError, match=r"wrong\.onnx.*run: antiphon models pull smart-turn"):
        engine.load()


def test_a_tone_is_loudest_in_the_bin_of_its_pitch() -> None:
    seconds = np.arange(RATE_HZ, dtype=np.float32) / RATE_HZ
    peaks = [
        int(log_mel(np.sin(2 * np.pi * hz * seconds).astype(np.float32)).mean(axis=1).argmax())
        for hz in (200, 500, 1_000, 2_000, 4_000)
    ]
    # Slaney's scale: 66.7 Hz a mel below 1 kHz, 27 mels for a factor of 6.4 above, 45.2 in all.
    mels = np.array([3.0, 7.5, 15.0, 25.1, 35.2])
    assert np.allclose(peaks, mels / 45.245 * 81 - 1, atol=1.0)


def test_there_are_a_hundred_frames_a_second() -> None:
    audio = pcm16_to_float(bytes(2 * RATE_HZ))
    assert log_mel(audio).shape == (80, 100)
    assert log_mel(audio, bins=128).dtype == np.float32
