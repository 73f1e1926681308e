"""B17, B18 and the queue: who waits, and for how long, when there is more to do than hands."""

import asyncio
import heapq
import tempfile
import time
from pathlib import Path

import aiohttp
from bars import Figure, Run, bar, percentile
from cancelled import dispatching
from servers import AT_ONCE, ENGINES, System
from system import running_system, system
from system_client import Client, connected
from talk import first_audio_s

from antiphon_gateway.dispatch import Request
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    Done,
    Failed,
    Generate,
    Result,
)

SENTENCE = "This is one of many sentences that are to be spoken in this answer. "


@bar("B17", "one heavy session and nine light ones share two voices")
async def fairness(run: Run) -> list[Figure]:
    """The light ones hear their first audio nearly as soon as alone."""
    settings = {
        **ENGINES,
        **AT_ONCE,
        "tts.processes": 2,
        "tts.slots": 1,
        "llm.slots": 16,
        "simulated.tts_first_audio_ms": 400,
        "simulated.tts_real_time_factor": 0,
        "simulated.llm_token_ms": 1,
        "simulated.reply": "{heard}",
    }
    with running_system(settings, workers={"stt": 1, "llm": 1, "tts": 2}) as server:
        async with connected(server.realtime_url) as client:
            solo = [await _whole_first_audio_s(client) for _ in range(run.size(8, 2))]
        alone = {urgent: _jobs_that_waited(server, urgent) for urgent in ("true", "false")}
        async with asyncio.TaskGroup() as group:
            heavy = group.create_task(_heavy(server))
            light = [
                group.create_task(_light(run, server, 0.45 * number, run.size(5, 2)))
                for number in range(9)
            ]
            await asyncio.wait(light)
            heavy.cancel()
        waited = {key: _jobs_that_waited(server, key) - count for key, count in alone.items()}
    waits = [wait for task in light for wait in task.result()]
    run.notes |= {
        "solo p95 ms": round(percentile(solo, 95) * 1000, 1),
        "light p50 ms": round(percentile(waits, 50) * 1000, 1),
        "light p95 ms": round(percentile(waits, 95) * 1000, 1),
        "first clauses that waited": waited["true"],
        "other clauses that waited": waited["false"],
    }
    ratio = percentile(waits, 95) / percentile(solo, 95)
    return [
        Figure("clauses that waited for a voice, missing", int(not sum(waited.values())), 0),
        Figure("light p95 to solo p95", ratio, 1.5, timed=True),
    ]


def _jobs_that_waited(server: System, urgent: str) -> int:
    """Return how many clauses have waited longer than 0.1 s, a quarter of one, for a voice."""
    name, labels = "antiphon_queue_wait_seconds", f'stage="tts",urgent="{urgent}"'
    at_once = server.metric(f'{name}_bucket{{le="0.1",{labels}}}')
    return int(server.metric(f"{name}_count{{{labels}}}") - at_once)


async def _whole_first_audio_s(client: Client) -> float:
    took_s = await first_audio_s(client, SENTENCE.strip())
    await client.done()
    return took_s


async def _light(run: Run, server: System, at_s: float, turns: int) -> list[float]:
    await asyncio.sleep(at_s)
    waits = []
    async with connected(server.realtime_url) as client:
        for _ in range(turns):
            waits.append(await _whole_first_audio_s(client))
            await asyncio.sleep(run.chance.uniform(3.0, 5.0))
    return waits


async def _heavy(server: System) -> None:
    """Have one answer of many sentences after the other."""
    async with connected(server.realtime_url) as client:
        while True:
            await client.say_text((12 * SENTENCE).strip())
            await client.done(within_s=120)


CALLERS, TURNS = 36, 6


@bar("B18", "three times more sessions than the server can serve")
async def overload(run: Run) -> list[Figure]:
    """Who is admitted is served as usual; who is not is told so at once, and when to come back."""
    settings = {
        **ENGINES,
        **AT_ONCE,
        "simulated.llm_first_token_ms": 300,
        "simulated.llm_token_ms": 10,
        "llm.slots": 4,
        "tts.slots": 16,
        "gateway.admission_queue_wait_ms": 20,
    }
    # Four slots of half a second each, a turn every 1.6 s: 12 sessions keep the model busy.
    served: list[float] = []
    refused_s: list[float] = []
    without_hint = broken = 0
    seconds = run.size(40, 12)

    async def caller(url: str, at_s: float, until_s: float) -> None:
        nonlocal without_hint, broken
        await asyncio.sleep(at_s)
        while time.monotonic() < until_s:
            began_s = time.perf_counter()
            try:
                async with connected(url) as client:
                    for _ in range(TURNS):
                        served.append(await first_audio_s(client))
                        await client.done()
                        await asyncio.sleep(run.chance.uniform(0.5, 1.5))
            except aiohttp.WSServerHandshakeError as error:
                refused_s.append(time.perf_counter() - began_s)
                retry = (error.headers or {}).get("Retry-After")
                without_hint += error.status != 503 or retry is None
                await asyncio.sleep(run.chance.uniform(1.0, 2.0))
            except (AssertionError, ConnectionError):
                broken += 1

    with running_system(settings) as server:
        nominal: list[float] = []
        for _ in range(run.size(6, 2)):
            async with connected(server.realtime_url) as client:
                nominal.append(await first_audio_s(client))
                await client.done()
        until_s = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(caller(server.realtime_url, number * 0.8, until_s))
        server.assert_no_traceback()
    settled = served[len(served) // 3 :]
    run.notes |= {
        "served": len(served),
        "refused": len(refused_s),
        "nominal p95 ms": round(percentile(nominal, 95) * 1000),
        "admitted p95 ms": round(percentile(settled, 95) * 1000),
    }
    return [
        Figure("refusals missing", int(not refused_s), 0),
        Figure("refusals without 503 and Retry-After", without_hint, 0),
        Figure("turns that broke", broken, 0),
        Figure("refusal p95", percentile(refused_s, 95) * 1000, 100, "ms", timed=True),
        Figure(
            "admitted p95 to nominal p95",
            percentile(settled, 95) / percentile(nominal, 95),
            1.2,
            timed=True,
        ),
    ]


# --- the queue -------------------------------------------------------------------------------

SHORT_MS, LONG_MS, LONG_SHARE, WORKERS, LOAD = 50, 1_000, 0.1, 4, 0.75
MEAN_MS = SHORT_MS * (1 - LONG_SHARE) + LONG_MS * LONG_SHARE


@bar("queue", "waits of 50 ms and 1 s jobs at four workers, against one ideal central queue")
async def queueing(run: Run) -> list[Figure]:
    """The dispatcher's queue is as good as one queue that knows everything at no cost."""
    count = run.size(800, 60)
    arrivals_s, lengths_ms, at_s = [], [], 0.0
    for _ in range(count):
        at_s += run.chance.expovariate(LOAD * WORKERS / (MEAN_MS / 1000))
        arrivals_s.append(at_s)
        lengths_ms.append(LONG_MS if run.chance.random() < LONG_SHARE else SHORT_MS)
    settings = {
        **ENGINES,
        "simulated.llm_first_token_ms": SHORT_MS,
        "simulated.llm_token_ms": SHORT_MS,
    }
    settings |= {"llm.slots": 1, "simulated.reply": "word " * 40}
    with tempfile.TemporaryDirectory(prefix="ap-") as name:
        async with dispatching(Path(name)) as dispatcher:
            with system({**settings, "bus.runtime_dir": name}) as server:
                server.start(*(f"llm-{number}" for number in range(WORKERS)))
                while sum(w.connected for w in dispatcher.stages()["llm"].workers) < WORKERS:
                    await asyncio.sleep(0.05)
                jobs = await _serve(dispatcher, arrivals_s, lengths_ms)
    waits_ms = [wait for wait, _ in jobs]
    ideal_ms = ideal_waits_ms(arrivals_s, [took for _, took in jobs], WORKERS)
    run.notes |= {
        "wait p95 ms": round(percentile(waits_ms, 95), 1),
        "ideal wait p95 ms": round(percentile(ideal_ms, 95), 1),
    }
    ratio = percentile(waits_ms, 95) / max(percentile(ideal_ms, 95), 1.0)
    return [Figure("wait p95 to that of an ideal queue", ratio, 1.15, timed=True)]


async def _serve(
    dispatcher: object, arrivals_s: list[float], lengths_ms: list[float]
) -> list[tuple[float, float]]:
    """Submit jobs at their times; return the wait before each, and its time there, in ms."""
    began_s = time.perf_counter()
    ended: list[asyncio.Future[tuple[float, float]]] = []
    for number, (at_s, length_ms) in enumerate(zip(arrivals_s, lengths_ms, strict=True)):
        await asyncio.sleep(max(0.0, began_s + at_s - time.perf_counter()))
        ended.append(_submit(dispatcher, number, length_ms))
    return list(await asyncio.gather(*ended))


def _submit(
    dispatcher: object, number: int, length_ms: float
) -> "asyncio.Future[tuple[float, float]]":
    over: asyncio.Future[tuple[float, float]] = asyncio.get_running_loop().create_future()
    began_s = time.perf_counter()

    def deliver(result: Result, _: bytes) -> None:
        if isinstance(result.body, Done | Failed):
            assert isinstance(result.body, Done), result.body
            whole_ms = (time.perf_counter() - began_s) * 1000
            took_ms = result.body.engine_ms
            over.set_result((max(0.0, whole_ms - took_ms), took_ms))

    words = max(1, round(length_ms / SHORT_MS))
    command = Generate(
        messages=(ChatMessage("user", "Go."),), max_output_tokens=words, temperature=0
    )
    request = Request(
        job_id=f"j{number}",
        session_id=f"s{number}",
        turn_id=1,
        revision=0,
        command=command,
        budget_ms=120_000,
    )
    dispatcher.submit(request, deliver)  # type: ignore[attr-defined]
    return over


def ideal_waits_ms(arrivals_s: list[float], took_ms: list[float], workers: int) -> list[float]:
    """Return the waits in one first-come queue whose workers are told in no time."""
    free_ms = [0.0] * workers
    waits = []
    for at_s, length_ms in zip(arrivals_s, took_ms, strict=True):
        start_ms = max(at_s * 1000, heapq.heappop(free_ms))
        waits.append(start_ms - at_s * 1000)
        heapq.heappush(free_ms, start_ms + length_ms)
    return waits
