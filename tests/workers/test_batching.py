"""Items of many jobs in one pass: what shares a pass, what waits, what one cancellation does."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from antiphon_proto.audio import read_wav
from antiphon_proto.config import load
from antiphon_proto.messages import Transcribe
from antiphon_workers.batching import Batcher
from antiphon_workers.engine import Engine
from antiphon_workers.stt.simulated import SimulatedStt

from .engines import loaded, results

DATA = Path(__file__).parents[1] / "data"
CLIPS = ("what_time_is_it.wav", "you_didnt_want_to_come.wav")


class Model:
    """Doubles numbers; each pass waits until it is let go."""

    def __init__(self) -> None:
        self.passes: list[list[int]] = []
        self.gate = threading.Event()
        self.began = threading.Event()

    def work(self, items: Sequence[int]) -> list[int]:
        self.passes.append(list(items))
        self.began.set()
        assert self.gate.wait(10)
        if any(item < 0 for item in items):
            raise ValueError("a negative number")
        return [2 * item for item in items]


@pytest.fixture
def model() -> Iterator[Model]:
    made = Model()
    yield made
    made.gate.set()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


async def begun(model: Model) -> None:
    assert await asyncio.to_thread(model.began.wait, 10)


async def test_what_arrives_during_a_pass_is_the_next_one(
    model: Model, executor: ThreadPoolExecutor
) -> None:
    batcher = Batcher(model.work, executor, most=3)
    first = asyncio.ensure_future(batcher.run(1))
    await begun(model)
    others = [asyncio.ensure_future(batcher.run(number)) for number in (2, 3, 4, 5)]
    await asyncio.sleep(0)
    model.gate.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8, 10]
    assert model.passes == [[1], [2, 3, 4], [5]]
    assert list(batcher.sizes) == [1, 3, 1]


async def test_an_idle_model_waits_for_more_and_not_for_ever(
    model: Model, executor: ThreadPoolExecutor
) -> None:
    model.gate.set()
    batcher = Batcher(model.work, executor, most=3, wait_ms=30)
    assert await asyncio.gather(batcher.run(1), batcher.run(2)) == [2, 4]
    assert model.passes == [[1, 2]]


async def test_a_full_batch_does_not_wait(model: Model, executor: ThreadPoolExecutor) -> None:
    model.gate.set()
    batcher = Batcher(model.work, executor, most=2, wait_ms=600_000)
    async with asyncio.timeout(10):
        assert await asyncio.gather(batcher.run(1), batcher.run(2)) == [2, 4]


async def test_a_cancelled_item_leaves_the_queue_and_the_pass(
    model: Model, executor: ThreadPoolExecutor
) -> None:
    batcher = Batcher(model.work, executor, most=4)
    running = [asyncio.ensure_future(batcher.run(1))]
    await begun(model)
    running += [asyncio.ensure_future(batcher.run(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    running[0].cancel()
    running[1].cancel()
    # It is over at once, before the pass is.
    await asyncio.wait(running[:2], timeout=10)
    assert all(task.cancelled() for task in running[:2])
    model.gate.set()
    assert await running[2] == 6
    assert model.passes == [[1], [3]]


async def test_an_item_that_fails_fails_alone(model: Model, executor: ThreadPoolExecutor) -> None:
    model.gate.set()
    batcher = Batcher(model.work, executor, most=3, wait_ms=30)
    jobs = (batcher.run(number) for number in (1, -1, 2))
    one, wrong, two = await asyncio.gather(*jobs, return_exceptions=True)
    assert (one, two) == (2, 4)
    assert isinstance(wrong, ValueError)


async def test_items_of_different_keys_share_no_pass(
    model: Model, executor: ThreadPoolExecutor
) -> None:
    batcher = Batcher(model.work, executor, most=4)
    first = asyncio.ensure_future(batcher.run(0))
    await begun(model)
    keys = ((1, "a"), (2, "b"), (3, "a"))
    others = [asyncio.ensure_future(batcher.run(number, key)) for number, key in keys]
    await asyncio.sleep(0)
    model.gate.set()
    await asyncio.gather(first, *others)
    assert model.passes == [[0], [1, 3], [2]]


async def test_the_simulated_engine_makes_a_batch_in_the_time_of_one() -> None:
    settings = ["stt.engine=simulated", "stt.slots=4", "stt.batch=4", "stt.batch_wait_ms=50"]
    engine = SimulatedStt(load(environment={}, settings=settings))
    made = await asyncio.gather(*(results(engine, Transcribe(final=True), b"12") for _ in range(8)))
    assert len(made) == 8
    assert list(engine.passes) == [4, 4]
    await asyncio.to_thread(engine.close)


@pytest.fixture
def alone() -> Engine:
    return loaded("stt", "faster-whisper")


@pytest.fixture
def batching() -> Engine:
    settings = ("stt.slots=3", "stt.batch=3", "stt.batch_wait_ms=500")
    return loaded("stt", "faster-whisper", *settings)


@pytest.mark.models
async def test_whisper_hears_in_a_batch_what_it_hears_alone(
    alone: Engine, batching: Engine
) -> None:
    clips = [read_wav(DATA / name)[0] for name in CLIPS]
    command = Transcribe(final=True)
    expected = [await results(alone, command, pcm) for pcm in clips]
    together = await asyncio.gather(*(results(batching, command, pcm) for pcm in [*clips, b""]))
    texts = [[body.text for body, _ in made] for made in together]  # type: ignore[attr-defined]
    assert texts == [
        *([body.text for body, _ in made] for made in expected),  # type: ignore[attr-defined]
        [""],
    ]


@pytest.mark.models
async def test_a_cancelled_job_of_whisper_leaves_its_batch(batching: Engine) -> None:
    pcm = read_wav(DATA / CLIPS[0])[0]
    jobs = [asyncio.ensure_future(results(batching, Transcribe(final=True), pcm)) for _ in range(2)]
    await asyncio.sleep(0)
    jobs[0].cancel()
    assert await jobs[1]
    assert jobs[0].cancelled()
