"""A dispatcher with workers of one stage, over the real sockets, for one measurement."""

import asyncio
import contextlib
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import IO

from antiphon_gateway.dispatch.embedded import EmbeddedDispatcher
from antiphon_gateway.dispatch.observer import JobObserver
from antiphon_proto.channel import Bus
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import Stage

GATEWAY = "gateway-0"
START_S = 60.0
LOADING_S = 300.0
"""The same for models of some GB on a disk that may be cold."""
STOP_S = 30.0


@contextlib.asynccontextmanager
async def pool(
    stage: Stage,
    workers: int,
    settings: Sequence[str],
    observer: JobObserver | None = None,
    start_s: float = START_S,
) -> AsyncIterator[EmbeddedDispatcher]:
    """Run a dispatcher with so many workers of `SECTION.KEY=VALUE` settings.

    Raises StartupError, with a worker's last words, when they do not come up in `start_s`.
    """
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as name:
        directory = Path(name)
        own = [f"bus.runtime_dir={directory / 'run'}", "log.level=WARNING"]
        flags = [part for setting in [*settings, *own] for part in ("--set", setting)]
        program = str(Path(sysconfig.get_path("scripts")) / "antiphon-worker")
        with Bus(directory / "run") as bus, tempfile.TemporaryFile() as log:
            dispatcher = EmbeddedDispatcher(bus, GATEWAY, observer)
            serving = asyncio.create_task(dispatcher.run(), name="dispatch")
            processes = [
                await asyncio.create_subprocess_exec(
                    *(program, stage, "--index", str(index), *flags),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
                for index in range(workers)
            ]
            try:
                await _all_serve(dispatcher, stage, processes, log, start_s)
                yield dispatcher
            finally:
                for process in processes:
                    with contextlib.suppress(ProcessLookupError):
                        process.terminate()
                for process in processes:
                    await asyncio.wait_for(process.wait(), STOP_S)
                serving.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await serving


async def _all_serve(
    dispatcher: EmbeddedDispatcher,
    stage: Stage,
    processes: Sequence[asyncio.subprocess.Process],
    log: IO[bytes],
    start_s: float,
) -> None:
    deadline_s = time.monotonic() + start_s
    while sum(worker.connected for worker in dispatcher.stages()[stage].workers) < len(processes):
        ended = any(process.returncode is not None for process in processes)
        if ended or time.monotonic() > deadline_s:
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines()
            reason = lines[-1] if lines else dispatcher.stages()[stage].reason
            trouble = "ended" if ended else f"did not come up in {start_s:g} s"
            raise StartupError(f"{len(processes)} {stage} workers {trouble}: {reason}")
        await asyncio.sleep(0.05)
