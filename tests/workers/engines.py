"""Loaded engines and jobs for the tests of engines."""

import functools
from collections.abc import Callable

import coqui_checkpoints
import model_servers
import pytest

from antiphon_proto.config import load
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import Command, Job, Stage
from antiphon_workers.engine import Engine, Step, Usage
from antiphon_workers.process import wait_asleep
from antiphon_workers.registry import create

# As the worker program does, before any model library is imported.
wait_asleep()


NOT_IN_MANIFEST = {("llm", "ollama"), ("llm", "openai"), ("tts", "coqui")}
"""Engines whose models `antiphon models pull` does not know: those of servers, those of a hub."""
NEEDED: dict[tuple[Stage, str], Callable[[], list[str]]] = {
    ("stt", "moonshine"): lambda: ["stt.model=moonshine-tiny-en"],
    ("tts", "coqui"): lambda: [f"tts.model={coqui_checkpoints.shared('vits')}"],
    ("tts", "coqui:xtts"): lambda: [f"tts.model={coqui_checkpoints.shared('xtts')}"],
    ("llm", "ollama"): lambda: [
        f"llm.url={model_servers.shared().ollama}",
        f"llm.model={model_servers.CHAT}",
        "llm.slots=2",
    ],
    ("llm", "openai"): lambda: [
        f"llm.url={model_servers.shared().openai}",
        "llm.model=",
        "llm.slots=2",
    ],
}
"""Settings without which an engine has nothing to run: it is not the default, or served.

Behind a colon is the kind of model, where an engine knows several.
"""


@functools.cache
def loaded(stage: Stage, engine: str, *settings: str) -> Engine:
    """Return a loaded engine, one for all tests; skips where its model is not installed."""
    try:
        needed = NEEDED[stage, engine]() if (stage, engine) in NEEDED else []
        chosen = [f"{stage}.engine={engine.partition(':')[0]}", *needed, *settings]
        opened = create(stage, load(environment={}, settings=chosen))
        opened.load()
    except StartupError as exc:
        pytest.skip(str(exc))
    return opened


def job(command: Command, job_id: str = "job-1") -> Job:
    return Job(
        job_id=job_id,
        session_id="session-1",
        turn_id=1,
        revision=0,
        attempt=1,
        reply_to="gateway-0",
        budget_ms=60_000,
        command=command,
    )


async def steps(engine: Engine, command: Command, payload: bytes = b"") -> list[Step]:
    """Run one job to its end."""
    return [step async for step in engine.run(job(command), payload)]


async def results(
    engine: Engine, command: Command, payload: bytes = b""
) -> list[tuple[object, bytes]]:
    """Run one job to its end and return its results."""
    return [
        step
        for step in await steps(engine, command, payload)
        if step is not None and not isinstance(step, Usage)
    ]
