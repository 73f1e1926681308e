"""B1-B4: workers are killed, frozen, hung and missing."""

import asyncio
import itertools
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from bars import Figure, Run, bar, percentile
from servers import AT_ONCE, ENGINES, GATEWAY, System, log_time_s, running_up
from system import running_system
from system_client import connected
from talk import Tally, spoken_turn

from antiphon_proto.messages import STAGES

PAIRS = {"stt.processes": 2, "llm.processes": 2, "tts.processes": 2}
UNHURRIED = {
    **ENGINES,
    **AT_ONCE,
    "simulated.stt_ms": 300,
    "simulated.llm_token_ms": 30,
    "simulated.tts_real_time_factor": 0.15,
}
KILL_PERIOD_S = 3.0
ENGINE_S = {"stt": 0.3, "llm": 0.03, "tts": 0.03}
"""What the simulated engines take to the first result of a job."""
TRIES_LOST = 'antiphon_dispatch_events_total{event="tries_lost"}'
FENCED = 'antiphon_messages_dropped_total{reason="fenced",stage="tts"}'
NEVER_S = float("inf")


@bar("B1", "kill -9 a random worker every 3 s during 50 turns, two workers a stage")
async def killed_at_random(run: Run) -> list[Figure]:
    """Every turn ends as if nothing had happened."""
    sessions, turns = 5, run.size(10, 2)
    tally, kills = Tally(), []

    async def kill_some(server: System) -> None:
        for _ in itertools.count():
            await asyncio.sleep(KILL_PERIOD_S if not run.small else 1.5)
            name = run.chance.choice(await asyncio.to_thread(_connected, server))
            kills.append((name, time.time()))
            server.kill(name)

    with running_up({**UNHURRIED, **PAIRS}, run.supervisor) as server:
        async with asyncio.TaskGroup() as group:
            killing = group.create_task(kill_some(server))
            async with asyncio.TaskGroup() as talking:
                for _ in range(sessions):
                    talking.create_task(tally.hold(server.realtime_url, turns))
            killing.cancel()
        await asyncio.to_thread(server.wait_ready)
        recovered = await _recovered(server, kills)
        server.assert_no_traceback()
    run.notes["kills"] = len(kills)
    run.notes |= {
        f"{stage} jobs made again, ms": ", ".join(f"{after_s * 1000:.0f}" for after_s in after)
        for stage, after in recovered.after_s.items()
    }
    every_s = [
        after_s - ENGINE_S[stage] for stage, after in recovered.after_s.items() for after_s in after
    ]
    return [
        Figure("kills missing", int(not kills), 0),
        Figure("kills that nobody noticed", recovered.unnoticed, 0),
        Figure("jobs of killed workers without a result", recovered.silent, 0),
        Figure("lost turns", tally.lost, 0),
        tally.figure(run),
        Figure(
            "kill to first result, less the engine, p95",
            percentile(every_s, 95) * 1000,
            300,
            "ms",
            timed=True,
        ),
    ]


def _connected(server: System) -> list[str]:
    answer = server.get("/v1/status")
    assert answer is not None
    workers = [worker for stage in answer.json()["stages"].values() for worker in stage["workers"]]
    return [worker["worker_id"] for worker in workers if worker["connected"]]


class _Recovered(NamedTuple):
    """What became of the kills and of the jobs that the workers had."""

    unnoticed: int
    silent: int
    """Times that a job lost its worker and no later result of it came."""
    after_s: dict[str, list[float]]
    """Of each stage: from a kill to the first result of each job that was made again."""


async def _recovered(server: System, kills: list[tuple[str, float]]) -> _Recovered:
    """Return it once all is recovered, after 10 s at most."""
    for _ in range(100):
        found = recovered_so_far(server, kills)
        if not (found.unnoticed or found.silent):
            break
        await asyncio.sleep(0.1)
    return found


def recovered_so_far(server: System, kills: list[tuple[str, float]]) -> _Recovered:
    """Return it by the logs up to now; kills are workers and Unix times."""
    lost = [event for event in server.events(GATEWAY) if event["event"] == "worker lost"]
    noticed = Counter(event["worker"] for event in lost)
    killed = Counter(name for name, _ in kills)
    attempts: dict[str, int] = {}
    after_s: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for name in (f"{stage}-{number}" for stage in STAGES for number in range(2)):
        stage = name.partition("-")[0]
        times_s = [at_s for victim, at_s in kills if victim.startswith(stage)]
        for event in server.events(name):
            if event["event"] == "first result of a job made again":
                job_id, attempt = event["job_id"], event["attempt"]
                attempts[job_id] = max(attempts.get(job_id, 1), attempt)
                came_s = log_time_s(event)
                # The log counts in whole milliseconds, and cuts the rest off.
                before = [at_s for at_s in times_s if at_s < came_s + 0.001]
                after_s[stage].append(came_s - before[-1] if before else NEVER_S)
    made_again = sum(attempt - 1 for attempt in attempts.values())
    return _Recovered(
        unnoticed=(killed - noticed).total(),
        silent=max(0, sum(event["reissued"] for event in lost) - made_again),
        after_s=after_s,
    )


@bar("B2", "SIGSTOP of a voice in mid-sentence: for 1 s, and until its jobs are given to another")
async def frozen(run: Run) -> list[Figure]:
    """The stale samples of the thawed worker are not heard; a second is no long gap."""
    tally, stale, made_again = Tally(), [], []
    settings = {**ENGINES, "simulated.tts_real_time_factor": 0.4, "llm.slots": 8, "tts.slots": 8}
    with running_system(settings, workers={"stt": 1, "llm": 1, "tts": 2}) as server:
        for _ in range(run.size(4, 1)):
            async with _frozen_voice(run, server, tally, listeners=1):
                await asyncio.sleep(1.0)
        gaps_ms = _gaps_ms(server)
        for _ in range(run.size(4, 1)):
            lost, fenced = server.metric(TRIES_LOST), server.metric(FENCED)
            async with _frozen_voice(run, server, tally, listeners=6):
                async with asyncio.timeout(15):
                    while server.metric(TRIES_LOST) == lost:
                        await asyncio.sleep(0.02)
                await asyncio.sleep(run.chance.uniform(0.0, 0.5))
            made_again.append(server.metric(TRIES_LOST) - lost)
            stale.append(server.metric(FENCED) - fenced)
        given_up_ms = _gaps_ms(server)[len(gaps_ms) :]
    run.notes["jobs given to another voice"] = sum(made_again)
    run.notes["stale results fenced"] = sum(stale)
    run.notes["longest gap while a voice was given up, ms"] = max(given_up_ms, default=0.0)
    return [
        Figure("lost turns", tally.lost, 0),
        tally.figure(run),
        Figure("thawed voices of which no stale result came", stale.count(0), 0),
        Figure("longest gap, frozen for 1 s", max(gaps_ms, default=0.0), 400, "ms", timed=True),
    ]


@asynccontextmanager
async def _frozen_voice(
    run: Run, server: System, tally: Tally, listeners: int
) -> AsyncIterator[None]:
    """Have the busiest voice frozen in mid-sentence during the block."""

    async def listen() -> None:
        async with connected(server.realtime_url, extended=True) as client:
            await client.say_text("Speak.")
            await client.done(within_s=60)
            tally.check(client, 1)

    async with asyncio.TaskGroup() as group:
        for _ in range(listeners):
            group.create_task(listen())
        await asyncio.sleep(run.chance.uniform(0.8, 1.6))
        busy = await asyncio.to_thread(_busiest, server)
        server.signal(busy, signal.SIGSTOP)
        try:
            yield
        finally:
            server.signal(busy, signal.SIGCONT)


def _busiest(server: System) -> str:
    """Return the voice that holds the most jobs."""
    found: dict[int, str] = {}

    def busy() -> bool:
        answer = server.get("/v1/status")
        workers = answer.json()["stages"]["tts"]["workers"] if answer else []
        found.clear()
        found.update({worker["outstanding"]: worker["worker_id"] for worker in workers})
        return max(found, default=0) > 0

    server.wait_for(busy, 10)
    return found[max(found)]


def _gaps_ms(server: System) -> list[float]:
    return [
        event["gap_ms"]
        for event in server.events(GATEWAY)
        if event["event"] == "speech came too late"
    ]


@bar("B3", "a voice hangs with the interpreter's lock held, declared fast (1 s)")
async def hung(run: Run) -> list[Figure]:
    """It is noticed, killed, and its job is done elsewhere."""
    limits = {"simulated.step_limit_ms": 1_000, "simulated.hang_text": "second"}
    tally = Tally()
    with running_up({**UNHURRIED, **PAIRS, **limits}, run.supervisor) as server:
        async with connected(server.realtime_url, extended=True) as client:
            await client.push_to_talk()
            await spoken_turn(client)
            tally.check(client, 1)
        await asyncio.to_thread(server.wait_ready)
        lost_s = _first(server, GATEWAY, "worker lost")
        hung_s = min(_first(server, name, "hanging") for name in ("tts-0", "tts-1"))
    return [
        Figure("hung workers not killed", int(lost_s == NEVER_S), 0),
        Figure("lost turns", tally.lost, 0),
        tally.figure(run),
        Figure("hang to notice", (lost_s - hung_s) * 1000, 1_500, "ms", timed=True),
    ]


def _first(server: System, name: str, event: str) -> float:
    """Return when a program first logged an event."""
    times = (log_time_s(line) for line in server.events(name) if line["event"] == event)
    return next(times, NEVER_S)


async def _only_worker(run: Run, supervisor: str, stage: str) -> list[Figure]:
    load_ms = 500
    tally, told_ms = Tally(), NEVER_S
    settings = {**UNHURRIED, "simulated.load_ms": load_ms}
    with running_up(settings, supervisor) as server:
        async with connected(server.realtime_url, extended=True) as client:
            await client.push_to_talk()
            began_s = time.time()
            await spoken_turn(client)
            killed_s = time.time()
            server.kill(f"{stage}-0")
            event = await client.event("antiphon.degraded")
            told_ms = (time.time() - killed_s) * 1000
            assert (event["stage"], event["degraded"]) == (stage, True)
            turn = asyncio.ensure_future(spoken_turn(client))
            up_again = await asyncio.to_thread(_restarted_s, server, f"{stage}-0", killed_s)
            await turn
            done_s = time.time()
            tally.check(client, 2)
            run.notes[f"{supervisor}: {stage} respawned and loaded"] = round(up_again - killed_s, 3)
    usual_ms = (killed_s - began_s) * 1000
    took_ms = (done_s - up_again) * 1000
    label = f"{supervisor}, {stage}"
    return [
        Figure(f"{label}: lost turns", tally.lost, 0),
        tally.figure(run)._replace(name=f"{label}: faults in the histories"),
        Figure(f"{label}: kill to antiphon.degraded", told_ms, 500, "ms", timed=True),
        Figure(
            f"{label}: turn longer than usual once it is back",
            took_ms - usual_ms,
            500,
            "ms",
            timed=True,
        ),
    ]


def _restarted_s(server: System, name: str, after_s: float) -> float:
    found: list[float] = []

    def again() -> bool:
        found[:] = [
            log_time_s(line)
            for line in server.events(GATEWAY)
            if line["event"] == "worker connected" and line["worker"] == name
        ]
        return bool(found) and found[-1] > after_s

    server.wait_for(again, 30)
    return found[-1]


@bar("B4", "kill the only worker of a stage, under each supervisor")
async def only_worker(run: Run) -> list[Figure]:
    """The session stays and is told; the turn completes once the worker is back."""
    figures: list[Figure] = []
    cases = list(itertools.product(("builtin", "supervisord"), STAGES))
    for supervisor, stage in cases[:1] if run.small else cases:
        figures += await _only_worker(run, supervisor, stage)
    return figures
