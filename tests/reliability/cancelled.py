"""B7: barge-in. What is cancelled is not heard, and its worker is free at once."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bars import Figure, Run, bar, percentile
from servers import AT_ONCE, ENGINES
from system import running_system, system
from system_client import connected
from talk import Tally

from antiphon_gateway.dispatch import Dispatcher, Request, create
from antiphon_proto.channel import Bus
from antiphon_proto.config import Config
from antiphon_proto.messages import AudioDelta, Result, Synthesize

STEP_MS = 5


@bar("B7", "100 barge-ins at random points")
async def barge_ins(run: Run) -> list[Figure]:
    """Nothing of a cancelled reply is sent after the decision; the worker stops within a step."""
    count, tally, flush_ms = run.size(100, 10), Tally(), []
    settings = {
        **ENGINES,
        **AT_ONCE,
        "simulated.llm_token_ms": 20,
        "simulated.tts_real_time_factor": 0.2,
    }
    with running_system(settings) as server:
        async with connected(server.realtime_url, extended=True) as client:
            for _ in range(count):
                # As every client with extensions does: what it has need not be kept for it.
                await client.send("antiphon.ack", seq=len(client.events))
                await client.say_text("Speak.")
                await client.event("response.created")
                with suppress(TimeoutError):
                    async with asyncio.timeout(run.chance.uniform(0.0, 1.0)):
                        await client.event("response.done")
                        continue
                began_s = time.perf_counter()
                await client.send("response.cancel")
                await client.done()
                flush_ms.append((time.perf_counter() - began_s) * 1000)
            await client.say_text("Speak.")
            await client.done()
            tally.check(client, 1, text=None)
    freed_ms = await _freed_ms(run, count)
    run.notes["cancelled"] = len(flush_ms)
    return [
        tally.figure(run),
        Figure("cancel to flush p99", percentile(flush_ms, 99), 5, "ms", timed=True),
        Figure(
            "cancel to free worker p95", percentile(freed_ms, 95), STEP_MS + 10, "ms", timed=True
        ),
    ]


async def _freed_ms(run: Run, count: int) -> list[float]:
    """Cancel jobs at random points; return how long the dispatcher took to see the slot free."""
    with tempfile.TemporaryDirectory(prefix="ap-") as name:
        async with dispatching(Path(name)) as dispatcher:
            steps = {"simulated.tts_chunk_ms": STEP_MS, "simulated.tts_real_time_factor": 1}
            with system({**ENGINES, **steps, "bus.runtime_dir": name}) as server:
                server.start("tts-0")
                while not dispatcher.stages()["tts"].ready:
                    await dispatcher.wait_for_change()
                return [await _freed_once(run, dispatcher, f"job-{n}") for n in range(count)]


async def _freed_once(run: Run, dispatcher: Dispatcher, job_id: str) -> float:
    begun = asyncio.Event()

    def deliver(result: Result, _: bytes) -> None:
        if isinstance(result.body, AudioDelta):
            begun.set()

    command = Synthesize(text="a long clause " * 20, voice="")
    dispatcher.submit(
        Request(
            job_id=job_id, session_id="s", turn_id=1, revision=0, command=command, budget_ms=30_000
        ),
        deliver,
    )
    await begun.wait()
    await asyncio.sleep(run.chance.uniform(0, 0.05))
    began_s = time.perf_counter()
    dispatcher.cancel([job_id])
    while any(worker.outstanding for worker in dispatcher.stages()["tts"].workers):
        await asyncio.sleep(0.0005)
    return (time.perf_counter() - began_s) * 1000


@asynccontextmanager
async def dispatching(directory: Path) -> AsyncIterator[Dispatcher]:
    with Bus(directory) as bus:
        dispatcher = create(bus, Config(), "gateway-0")
        task = asyncio.ensure_future(dispatcher.run())
        try:
            yield dispatcher
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
