"""The same promises, kept by every engine of every stage."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from antiphon_proto.audio import read_wav
from antiphon_proto.config import load
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.engines import ENGINES, names
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import (
    STAGES,
    AudioDelta,
    Command,
    Generate,
    Stage,
    Synthesize,
    TextDelta,
    Transcribe,
    Transcript,
)
from antiphon_workers import threads
from antiphon_workers.engine import Engine, Step, Usage
from antiphon_workers.registry import create

from .engines import NOT_IN_MANIFEST, job, loaded, results, steps

SPEECH = Path(__file__).parents[1] / "data" / "what_time_is_it.wav"
QUESTION = (
    ChatMessage("system", "You are a helpful assistant. Answer in one short sentence."),
    ChatMessage("user", "What is the capital of France?"),
)
COMMANDS: dict[Stage, Command] = {
    "stt": Transcribe(final=True),
    "llm": Generate(messages=QUESTION, max_output_tokens=30, temperature=0.0),
    "tts": Synthesize(text="The capital of France is Paris.", voice=""),
}
RESULTS: dict[Stage, type[Transcript | TextDelta | AudioDelta]] = {
    "stt": Transcript,
    "llm": TextDelta,
    "tts": AudioDelta,
}

WITH_FILES = [key for key in ENGINES if key[1] != "simulated" and key not in NOT_IN_MANIFEST]
"""Those of ours whose models are in the manifest."""

KEYS: list[tuple[Stage, str]] = [
    *((stage, name) for stage in STAGES for name in names(stage)),
    ("tts", "coqui:xtts"),
]
"""Every engine that is installed, ours and those of other packages, and Coqui's other kind."""


@pytest.fixture(
    params=[
        pytest.param(
            key, id="-".join(key), marks=() if key[1] == "simulated" else pytest.mark.models
        )
        for key in KEYS
    ]
)
async def engine(request: pytest.FixtureRequest) -> AsyncGenerator[Engine, None]:
    stage, name = request.param
    opened = await asyncio.to_thread(loaded, stage, name)
    yield opened
    await opened.disconnect()


def payload(engine: Engine) -> bytes:
    return read_wav(SPEECH)[0] if engine.stage == "stt" else b""


async def test_a_job_gives_results_of_its_stage_and_its_usage_last(engine: Engine) -> None:
    made = await steps(engine, COMMANDS[engine.stage], payload(engine))
    usages = [place for place, step in enumerate(made) if isinstance(step, Usage)]
    assert usages in ([], [len(made) - 1])
    kept = [step for step in made if step is not None and not isinstance(step, Usage)]
    assert kept
    assert all(isinstance(body, RESULTS[engine.stage]) for body, _ in kept)
    assert all(bool(pcm) == isinstance(body, AudioDelta) for body, pcm in kept)


async def test_an_abandoned_job_leaves_the_engine_free_for_the_next(engine: Engine) -> None:
    command = COMMANDS[engine.stage]
    expected = await results(engine, command, payload(engine))
    for _ in range(2 * engine.slots):
        async with aclosing(engine.run(job(command), payload(engine))) as running:
            await anext(running)
    assert await results(engine, command, payload(engine)) == expected


async def test_a_cancelled_job_leaves_the_engine_free_for_the_next(engine: Engine) -> None:
    command = COMMANDS[engine.stage]
    expected = await results(engine, command, payload(engine))

    async def run(started: asyncio.Event) -> None:
        async with aclosing(engine.run(job(command), payload(engine))) as running:
            started.set()
            async for _ in running:
                pass

    for _ in range(2 * engine.slots):
        async with asyncio.TaskGroup() as group:
            started = asyncio.Event()
            task = group.create_task(run(started))
            await started.wait()
            task.cancel()
        assert task.cancelled()
    assert await results(engine, command, payload(engine)) == expected


async def test_a_cancelled_job_makes_at_most_the_step_that_it_is_in(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bool] = []
    advance = threads._advance

    def counted(steps: Generator[Step, None, None]) -> tuple[bool, Step]:
        made.append(True)
        return advance(steps)

    monkeypatch.setattr(threads, "_advance", counted)
    running = engine.run(job(COMMANDS[engine.stage]), payload(engine))
    following = asyncio.ensure_future(anext(running))
    await following
    begun = len(made)
    following = asyncio.ensure_future(anext(running))
    await asyncio.sleep(0)
    following.cancel()
    with suppress(asyncio.CancelledError, StopAsyncIteration):
        await following
    await running.aclose()
    assert len(made) <= begun + 1


async def test_as_many_jobs_as_slots_run_beside_each_other(engine: Engine) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(results(engine, COMMANDS[engine.stage], payload(engine)))
            for _ in range(engine.slots)
        ]
    assert all(task.result() for task in tasks)


@pytest.mark.models
@pytest.mark.parametrize("key", WITH_FILES, ids="-".join)
def test_a_missing_model_is_answered_with_the_command_that_installs_it(
    key: tuple[Stage, str], tmp_path: Path
) -> None:
    stage, name = key
    settings = [f"{stage}.engine={name}", f"models.cache_dir={tmp_path}"]
    engine = create(stage, load(environment={}, settings=settings))
    with pytest.raises(StartupError, match="run: antiphon models pull"):
        engine.load()


@pytest.mark.models
@pytest.mark.parametrize("key", WITH_FILES, ids="-".join)
def test_a_path_that_holds_no_model_is_a_startup_error_naming_it(
    key: tuple[Stage, str], tmp_path: Path
) -> None:
    stage, name = key
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"not a model" * 100)
    wrong.with_name("wrong.onnx.json").write_text("{}")
    settings = [f"{stage}.engine={name}", f"{stage}.model={wrong}"]
    engine = create(stage, load(environment={}, settings=settings))
    with pytest.raises(StartupError, match=r"wrong\.onnx"):
        engine.load()
