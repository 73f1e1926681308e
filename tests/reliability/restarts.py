"""B5, B6, B19: processes end and come back while people talk."""

import asyncio
import signal
import time
from collections.abc import Mapping

from bars import Figure, Run, bar, percentile
from history import History
from links import back, events_of, turn
from resuming_client import Lost, ResumingClient, resuming_client
from servers import ENGINES, GATEWAY, Up, log_time_s, running_up
from system_client import connected
from talk import Tally, first_word_s
from workers_die import PAIRS, UNHURRIED

REPLY = ("This takes a while to say, because it has several sentences. " * 2).strip()
SETTINGS = {**ENGINES, **PAIRS, "simulated.reply": REPLY, "llm.slots": 16, "tts.slots": 16}
QUEUE = 'antiphon_queue_depth{stage="tts"}'


@bar("B5", "kill -9 the gateway with 20 live sessions")
async def gateway_killed(run: Run) -> list[Figure]:
    """Every session is back, goes on where it was, and holds the next turn."""
    return await _gateway_killed(run, SETTINGS, GATEWAY)


@bar("B5b", "kill -9 one of two gateways with 20 live sessions")
async def one_gateway_killed(run: Run) -> list[Figure]:
    """Its sessions go on in the other one."""
    twins = {**SETTINGS, "gateway.processes": 2, "bus.dispatcher": "process"}
    return await _gateway_killed(run, twins, f"{GATEWAY}-0")


async def _gateway_killed(run: Run, settings: Mapping[str, object], victim: str) -> list[Figure]:
    count = run.size(20, 8)
    resumed_s: list[float] = []
    lost: list[str] = []
    faults: list[str] = []
    jumps_ms: list[float] = [0.0]
    listening = asyncio.Barrier(count + 1)

    async def hold(url: str) -> None:
        async with resuming_client(url) as client:
            await client.say_text("Speak.")
            for _ in range(4):
                await client.event("audio")
            await listening.wait()
            began_s = await _lost_or_done(client)
            try:
                if began_s is not None:
                    await back(client)
                    resumed_s.append(time.monotonic() - began_s)
                    await _until_done(client)
                await client.say_text("And again.")
                await _until_done(client)
            except (TimeoutError, ConnectionRefusedError, Lost) as exc:
                lost.append(f"{type(exc).__name__} {exc}")
            jumps_ms.extend(_jumps_ms(client))
            history = History(list(events_of(client)))
            faults.extend(history.judge(REPLY))
            if history.completed != 2 or history.roles != ["user", "assistant"] * 2:
                faults.append(f"{history.completed} of 2 replies, items of {history.roles}")

    with running_up(settings, run.supervisor) as server:
        # One of two gateways makes the server ready, and might have all sessions.
        server.wait_for(lambda: "gateway listening" in server.log(victim), 30)
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(hold(server.realtime_url))
            await listening.wait()
            await asyncio.sleep(0.5)
            killed_s = time.time()
            server.kill(victim)
        if victim == GATEWAY:
            run.notes |= _way_back_ms(server, killed_s)
    run.notes["sessions resumed"] = len(resumed_s)
    run.notes |= {f"fault {number}": fault for number, fault in enumerate((lost + faults)[:4], 1)}
    # Of two gateways some have only a part of the sessions.
    missing = count - len(resumed_s) if victim == GATEWAY else int(not resumed_s)
    return [
        Figure("resumptions missing", missing, 0),
        Figure("sessions that did not go on", len(lost), 0),
        Figure("faults in the histories", len(faults), 0),
        Figure("audio repeated or skipped at once", max(jumps_ms), 100, "ms"),
        Figure("lost to resumed p95", percentile(resumed_s, 95), 2.0, "s", timed=True),
    ]


def _way_back_ms(server: Up, killed_s: float) -> dict[str, float]:
    """Return when after the kill the new gateway was started, heard and had its sessions back."""
    times_s: dict[str, list[float]] = {}
    for event in server.events(GATEWAY):
        if (at_s := log_time_s(event)) > killed_s:
            times_s.setdefault(event["event"], []).append(at_s)
    resumed_s = times_s.get("session resumed") or [killed_s]
    steps_s = {
        "process started": server.states()[GATEWAY].started,
        "listening": times_s["gateway listening"][0],
        "first resumed": resumed_s[0],
        "half resumed": resumed_s[len(resumed_s) // 2],
        "last resumed": resumed_s[-1],
    }
    return {f"{step}, ms": round((at_s - killed_s) * 1000) for step, at_s in steps_s.items()}


async def _lost_or_done(client: ResumingClient) -> float | None:
    """Return when the connection was lost; None when the reply ended before."""
    try:
        while not client.of_type("response.done"):
            await client.receive()
    except Lost:
        return time.monotonic()
    return None


async def _until_done(client: ResumingClient) -> None:
    before = len(client.of_type("response.done"))
    async with asyncio.timeout(40):
        while len(client.of_type("response.done")) == before:
            await client.receive()


def _jumps_ms(client: ResumingClient) -> list[float]:
    """Return by how much each frame began before or after the end of the one before."""
    found = []
    for pieces in client.audio.values():
        end = pieces[0][0]
        for first_sample, pcm in pieces:
            found.append(abs(first_sample - end) / 24)
            end = first_sample + len(pcm) // 2
    return found


@bar("B19", "SIGTERM to every process, one after the other, during 50 turns")
async def rolling(run: Run) -> list[Figure]:
    """No turn is lost, and every process ends well and soon."""
    sessions, turns = run.size(5, 2), run.size(10, 5)
    tally, ended = Tally(), []
    resumed_s: list[float] = []
    gaps_ms: list[float] = [0.0]

    async def talk(url: str) -> None:
        async with resuming_client(url) as client:
            try:
                for _ in range(turns):
                    # As every client does: what it has need not be kept for it.
                    await client.send("antiphon.ack", seq=client.received)
                    await turn(client, "Speak.", resumed_s)
            except (TimeoutError, ConnectionRefusedError) as exc:
                tally.faults.append(f"{type(exc).__name__} {exc}")
            history = History(list(events_of(client)))
            gaps_ms.extend(heard_gaps_ms(client))
        tally.lost += turns - history.completed
        tally.faults += history.judge(REPLY)
        tally.faults += [f"closed with {code}" for code in client.lost_with if code != 1012]
        if history.roles != ["user", "assistant"] * turns:
            tally.faults.append(f"items of {history.roles} for {turns} turns")

    with running_up({**SETTINGS, "bus.dispatcher": "process"}, run.supervisor) as server:
        async with asyncio.TaskGroup() as group:
            restarting = group.create_task(_restart_all(server, ended))
            async with asyncio.TaskGroup() as talking:
                for _ in range(sessions):
                    talking.create_task(talk(server.realtime_url))
            late = 8 - len(ended)
            await restarting
        gaps_ms += [
            event["gap_ms"]
            for event in server.events(GATEWAY)
            if event["event"] == "speech came too late"
        ]
        server.assert_no_traceback()
    run.notes |= {"resumptions": len(resumed_s), "longest, s": round(max(resumed_s, default=0), 2)}
    return [
        Figure("processes not restarted", 8 - len(ended), 0),
        Figure("processes restarted after the last turn", late, 0),
        Figure("resumptions missing", int(not resumed_s), 0),
        Figure("lost turns", tally.lost, 0),
        tally.figure(run),
        Figure("exit codes other than 0", sum(code != 0 for code, _ in ended), 0),
        Figure("longest gap in a reply", max(gaps_ms), 1_000, "ms", timed=True),
        Figure("longest exit", max((took for _, took in ended), default=99.0), 20, "s", timed=True),
    ]


def heard_gaps_ms(client: ResumingClient) -> list[float]:
    """Return for each frame how long before it all of its reply was played that had come."""
    gaps_ms = []
    played_s: dict[int, float] = {}
    for event in events_of(client):
        if event["type"] == "audio":
            end_s = played_s.get(event["stream"], event["at_s"])
            gaps_ms.append(1000 * max(0.0, event["at_s"] - end_s))
            played_s[event["stream"]] = max(end_s, event["at_s"]) + len(event["pcm"]) / 48_000
    return gaps_ms


async def _restart_all(server: Up, ended: list[tuple[int, float]]) -> None:
    """Restart all, the gateway last; note each one's exit code and how long it took."""
    await asyncio.sleep(2.0)
    for name in sorted(server.programs(), key=lambda name: name == GATEWAY):
        pid, began_s = server.pid(name), time.monotonic()
        before = server.states()[name].started
        server.signal(name, signal.SIGTERM)
        while pid in server.programs().values():
            await asyncio.sleep(0.05)
        took_s = time.monotonic() - began_s
        code = await _ended(server, name, before)
        ended.append((code, took_s))
        while not await asyncio.to_thread(server.is_ready):
            await asyncio.sleep(0.1)


async def _ended(server: Up, name: str, before: float) -> int:
    """Return the exit code of the run that began at `before`, once the next one has begun."""
    while (state := server.states()[name]).started == before or not state.running:
        await asyncio.sleep(0.05)
    return state.exit_code


@bar("B6", "kill -9 the dispatcher process under load")
async def dispatcher_killed(run: Run) -> list[Figure]:
    """No job is lost; service is back soon: the first word of a written answer.

    A spoken one would wait for the voices too, who have to do anew what they were doing.
    """
    # One clause a voice at a time, so that the dispatcher dies with jobs that no worker has.
    settings = {**UNHURRIED, **PAIRS, "bus.dispatcher": "process", "tts.slots": 1}
    tally, kills = Tally(), run.size(5, 2)
    usual_s: list[float] = []
    back_s: list[float] = []
    waiting: list[int] = []
    with running_up(settings, run.supervisor) as server:
        async with asyncio.TaskGroup() as talking:
            for _ in range(run.size(5, 2)):
                talking.create_task(tally.hold(server.realtime_url, run.size(10, 4)))
            async with connected(server.realtime_url, extended=True) as client:
                for waits_s, kill in ((usual_s, False), (back_s, True)):
                    for _ in range(kills):
                        await asyncio.sleep(2.0)
                        if kill:
                            waiting.append(int(await asyncio.to_thread(server.metric, QUEUE)))
                            server.kill("dispatcher")
                        waits_s.append(await first_word_s(client))
                        await client.done()
        server.assert_no_traceback()
    run.notes["usual, longest, s"] = round(max(usual_s), 3)
    run.notes["clauses that waited at the kills"] = ", ".join(map(str, waiting))
    extra_s = max(back_s) - max(usual_s)
    return [
        Figure("kills with no clause waiting", waiting.count(0), 0),
        Figure("lost turns", tally.lost, 0),
        tally.figure(run),
        Figure("kill to service, beyond the usual", extra_s, 1.0, "s", timed=True),
    ]
