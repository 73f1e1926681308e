"""B20: the network between client and gateway is bad."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

import aiohttp
from bars import Figure, Run, bar, percentile
from chaos_proxy import ChaosProxy, Weather, chaos_proxy
from history import Event, History
from resuming_client import Lost, ResumingClient, resuming_client
from servers import ENGINES
from system import running_system

REPLY = "This is said over a bad line. It has two sentences."
WEATHER = Weather(latency_ms=150, jitter_ms=50, slice_bytes=64)
GIVE_UP_S = 20.0


async def back(client: ResumingClient, within_s: float = GIVE_UP_S) -> float:
    """Have the session back, trying again and again; return how long it took.

    Raises TimeoutError, and ConnectionRefusedError when the server does not know the session.
    """
    began_s = time.monotonic()
    async with asyncio.timeout(within_s):
        while True:
            with contextlib.suppress(aiohttp.ClientError, Lost, OSError, TypeError):
                answer = await client.resume()
                if answer["type"] != "antiphon.resumed":
                    raise ConnectionRefusedError(str(answer))
                return time.monotonic() - began_s
            await asyncio.sleep(0.1)


async def turn(client: ResumingClient, text: str, resumed_s: list[float]) -> None:
    """Hold a turn over however many connections it takes."""
    await client.say_text(text)
    await answered(client, resumed_s)


async def answered(client: ResumingClient, resumed_s: list[float]) -> None:
    """Wait for the end of the response that was asked for."""
    ended = len(client.of_type("response.done"))
    while len(client.of_type("response.done")) == ended:
        try:
            async with asyncio.timeout(GIVE_UP_S):
                await client.receive()
        except Lost:
            resumed_s.append(await back(client))


def events_of(client: ResumingClient) -> Iterator[Event]:
    """Yield what arrived as a client with one connection would have it."""
    frames = {stream: iter(pieces) for stream, pieces in client.audio.items()}
    for event in client.events:
        if event["type"] == "audio":
            first_sample, pcm = next(frames[event["stream"]])
            yield {**event, "timestamp": first_sample, "pcm": pcm}
        else:
            yield event


@bar("B20", "client to gateway: 150 +- 50 ms, 64-byte slices, blackouts, resets, 50 turns")
async def bad_network(run: Run) -> list[Figure]:
    """No turn is lost; a session is back soon after its line is."""
    sessions, turns = run.size(5, 2), run.size(10, 2)
    lost, faults, resumed_s = 0, [], []

    async def talk(proxy: ChaosProxy) -> None:
        nonlocal lost
        url = f"ws://127.0.0.1:{proxy.port}/v1/realtime"
        async with resuming_client(url) as client:
            for number in range(turns):
                try:
                    await turn(client, f"Turn {number}.", resumed_s)
                except (TimeoutError, ConnectionRefusedError) as exc:
                    lost += turns - number
                    faults.append(f"turn {number}: {type(exc).__name__} {exc}")
                    return
            history = History(list(events_of(client)))
            lost += turns - history.completed
            faults.extend(history.judge(REPLY))

    async def disturb(proxy: ChaosProxy) -> None:
        while True:
            await asyncio.sleep(run.chance.uniform(1.5, 3.5))
            kind = run.chance.choice(("blackout", "reset", "both"))
            if kind == "reset":
                proxy.reset()
                continue
            proxy.blackout(refuse=kind == "both")
            if kind == "both":
                proxy.reset()
            await asyncio.sleep(1.0)
            proxy.light()

    settings = {**ENGINES, "simulated.reply": REPLY}
    with running_system(settings) as server:
        async with chaos_proxy(server.port, WEATHER, seed=run.seed) as proxy:
            async with asyncio.TaskGroup() as group:
                disturbing = group.create_task(disturb(proxy))
                async with asyncio.TaskGroup() as talking:
                    for _ in range(sessions):
                        talking.create_task(talk(proxy))
                disturbing.cancel()
            proxy.light()
        server.assert_no_traceback()
    run.notes |= {"resumptions": len(resumed_s)}
    run.notes |= {f"fault {number}": fault for number, fault in enumerate(faults[:4], 1)}
    return [
        Figure("resumptions missing", int(not resumed_s and not run.small), 0),
        Figure("lost turns", lost, 0),
        Figure("faults in the histories", len(faults), 0),
        # A blackout of 1 s is part of some of these.
        Figure(
            "broken line to resumed p95", percentile(resumed_s or [0.0], 95), 2.0, "s", timed=True
        ),
    ]
