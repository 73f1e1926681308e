"""The promises of every engine, kept on a graphics card."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from antiphon_proto.messages import Stage
from antiphon_workers.engine import Engine
from tests.workers.engines import loaded, results
from tests.workers.test_engine_contract import (
    COMMANDS,
    payload,
    test_a_cancelled_job_leaves_the_engine_free_for_the_next,
    test_a_cancelled_job_makes_at_most_the_step_that_it_is_in,
    test_a_job_gives_results_of_its_stage_and_its_usage_last,
    test_an_abandoned_job_leaves_the_engine_free_for_the_next,
    test_as_many_jobs_as_slots_run_beside_each_other,
)

__all__ = [
    "test_a_cancelled_job_leaves_the_engine_free_for_the_next",
    "test_a_cancelled_job_makes_at_most_the_step_that_it_is_in",
    "test_a_job_gives_results_of_its_stage_and_its_usage_last",
    "test_an_abandoned_job_leaves_the_engine_free_for_the_next",
    "test_as_many_jobs_as_slots_run_beside_each_other",
]

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]

NUMBERS = {"cuda": "float16", "cpu": "int8"}
ENGINES: dict[str, tuple[Stage, str, tuple[str, ...]]] = {
    "whisper": ("stt", "faster-whisper", ()),
    "whisper-batched": ("stt", "faster-whisper", ("stt.batch=8", "stt.slots=8")),
    "vits": ("tts", "coqui", ()),
    "xtts": ("tts", "coqui:xtts", ()),
}


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest, device: str) -> AsyncGenerator[Engine, None]:
    stage, name, settings = ENGINES[request.param]
    numbers = [f"stt.compute_type={NUMBERS[device]}"] if stage == "stt" else []
    opened = await asyncio.to_thread(
        loaded, stage, name, f"{stage}.device={device}", *numbers, *settings
    )
    yield opened
    # The pass of a cancelled job goes on and ends where it began: in this test's event loop.
    await results(opened, COMMANDS[opened.stage], payload(opened))
    await opened.disconnect()
