"""How long engines take, by how many jobs each holds.

Engines are loaded in this process, one after the other, so each has the machine to itself. The
voice comes first: it speaks what the transcriber then hears.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from antiphon_proto.audio import Resampler
from antiphon_proto.config import Config
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import (
    STT_SAMPLE_RATE_HZ,
    AudioDelta,
    Command,
    Generate,
    Job,
    Stage,
    Synthesize,
    TextDelta,
    Transcribe,
)
from antiphon_proto.planning import Engine as Measured
from antiphon_proto.planning import Figures, Point
from antiphon_workers import registry
from antiphon_workers.engine import Engine, Usage

ROUNDS = 5
"""Times that each number of jobs is held; medians count."""
SHORT_S, LONG_S = 1.5, 6.0
"""Of speech; the difference tells what a second more takes."""
WORDS = 24

_SENTENCES = (
    "The first train to the coast leaves at seven in the morning.",
    "A good loaf of bread needs flour, water, salt and a whole day of patience.",
    "Nobody knew that the old bridge would be closed until the end of the summer.",
)


class _Seen(NamedTuple):
    """One job, begun at 0."""

    first_ms: float
    end_ms: float
    steps: float
    """Words, or seconds of speech made; 0 of a transcript."""


Progress = Callable[[str], None]


def measure(config: Config, progress: Progress = lambda _: None) -> tuple[Figures, bytes]:
    """Return what the engines of a configuration do on this machine, and what the voice said, at
    the transcriber's sample rate. Loads them: blocks.

    `progress` is told what is done next.

    Raises StartupError when one cannot be loaded or answers nothing.
    """
    return asyncio.run(_measure(config, progress))


async def _measure(config: Config, progress: Progress) -> tuple[Figures, bytes]:
    tts, speech = await _engine("tts", config, b"", progress)
    stt, _ = await _engine("stt", config, speech, progress)
    llm, _ = await _engine("llm", config, b"", progress)
    cores = os.cpu_count() or 1
    return Figures(engines={"stt": stt, "llm": llm, "tts": tts}, cores=cores), speech


async def _engine(
    stage: Stage, config: Config, speech: bytes, progress: Progress
) -> tuple[Measured, bytes]:
    """Measure one engine; of a voice, return too what it said, for a transcriber to hear."""
    progress(f"loading {config.stage(stage).engine} ({stage})")
    engine = await asyncio.to_thread(registry.load, stage, config)
    slots, said = config.stage(stage).slots, b""
    points = []
    try:
        if stage == "tts":
            said = await _spoken(engine)
        for jobs in _counts(slots):
            progress(f"{stage}: {jobs} at once")
            points.append(await _point(engine, jobs, speech))
    finally:
        await engine.disconnect()
        await asyncio.to_thread(engine.close)
    section = config.stage(stage)
    measured = Measured(
        engine=section.engine, model=section.model, slots=slots, points=tuple(points)
    )
    return measured, said


def _counts(slots: int) -> list[int]:
    """Return 1, 2, 4, ... and the slots themselves."""
    counts = [2**power for power in range(slots.bit_length()) if 2**power < slots]
    return [*counts, slots]


async def _point(engine: Engine, jobs: int, speech: bytes) -> Point:
    before_s, began_s = time.process_time(), time.perf_counter()
    if engine.stage == "stt":
        short = await _rounds(engine, jobs, _cut(speech, SHORT_S))
        long = await _rounds(engine, jobs, _cut(speech, LONG_S))
        step_ms = max(0.0, _end_ms(long) - _end_ms(short)) / (LONG_S - SHORT_S)
        first_ms = max(0.0, _end_ms(short) - SHORT_S * step_ms)
    else:
        seen = await _rounds(engine, jobs, b"")
        # The first word is there with the first result, the first audio before it counts.
        others = [one.steps - (engine.stage == "llm") for one in seen]
        paces = [
            (one.end_ms - one.first_ms) / steps
            for one, steps in zip(seen, others, strict=True)
            if steps > 0
        ]
        first_ms = statistics.median(one.first_ms for one in seen)
        step_ms = statistics.median(paces) if paces else 0.0
    cores = (time.process_time() - before_s) / (time.perf_counter() - began_s)
    return Point(
        jobs=jobs, first_ms=round(first_ms, 2), step_ms=round(step_ms, 3), cores=round(cores, 3)
    )


def _end_ms(seen: Sequence[_Seen]) -> float:
    return statistics.median(one.end_ms for one in seen)


async def _rounds(engine: Engine, jobs: int, payload: bytes) -> list[_Seen]:
    seen: list[_Seen] = []
    for round_ in range(ROUNDS + 1):
        numbers = range(round_ * jobs, (round_ + 1) * jobs)
        found = await asyncio.gather(*(_one(engine, number, payload) for number in numbers))
        seen += found if round_ else ()  # the first may find cold caches
    return seen


async def _one(engine: Engine, number: int, payload: bytes) -> _Seen:
    began_s, first_s, steps = time.perf_counter(), 0.0, 0.0
    async for step in engine.run(_job(engine.stage, number), payload):
        if step is None or isinstance(step, Usage):
            continue
        first_s = first_s or time.perf_counter()
        body, pcm = step
        if isinstance(body, TextDelta):
            steps += len(body.text.split())
        elif isinstance(body, AudioDelta):
            steps += len(pcm) / 2 / body.sample_rate_hz
    end_s = time.perf_counter()
    if not first_s:
        raise StartupError(f"the {engine.stage} engine answered nothing, so it cannot be measured")
    return _Seen(1000 * (first_s - began_s), 1000 * (end_s - began_s), steps)


def _job(stage: Stage, number: int) -> Job:
    return Job(
        job_id=f"measured-{number}",
        session_id=f"measured-{number}",
        turn_id=1,
        revision=0,
        attempt=1,
        reply_to="measuring",
        budget_ms=60_000,
        command=_command(stage, number),
    )


def _command(stage: Stage, number: int) -> Command:
    if stage == "stt":
        return Transcribe(final=True)
    sentence = _SENTENCES[number % len(_SENTENCES)]
    if stage == "tts":
        return Synthesize(text=sentence, voice="")
    messages = (
        ChatMessage("system", "You are a helpful assistant. Answer in one short sentence."),
        ChatMessage("user", f"What do you say to this, number {number}: {sentence}"),
    )
    return Generate(messages=messages, max_output_tokens=WORDS, temperature=0.0)


async def _spoken(engine: Engine) -> bytes:
    """Return speech of the transcriber's sample rate, long enough for all that it is to hear."""
    spoken, rate_hz = b"", STT_SAMPLE_RATE_HZ
    for number in range(2 * len(_SENTENCES)):
        async for step in engine.run(_job("tts", number), b""):
            if step is None or isinstance(step, Usage) or not isinstance(step[0], AudioDelta):
                continue
            rate_hz = step[0].sample_rate_hz
            spoken += step[1]
    return Resampler(rate_hz, STT_SAMPLE_RATE_HZ).feed(spoken, last=True)


def _cut(speech: bytes, seconds: float) -> bytes:
    return speech[: 2 * int(seconds * STT_SAMPLE_RATE_HZ)]
