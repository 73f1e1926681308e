"""B8-B11: clients and neighbours that mean harm, or know no better."""

import asyncio
import json
import pickletools
import random
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import framing
import raw
from bars import Figure, Run, bar, percentile
from many import quiet
from servers import (
    AT_ONCE,
    ENGINES,
    GATEWAY,
    TASKS,
    System,
    files,
    growing,
    resident_bytes,
    tasks_beyond,
)
from system import ONE_EACH, SUBMITTED, running_system, system, worker_names
from system_client import connected
from talk import Tally, first_audio_s

MIB = 1024 * 1024
LONG = "This answer takes a while to say. " * 40


@bar("B8", "20 clients that stop reading beside 20 normal ones")
async def slow_readers(run: Run) -> list[Figure]:
    """Each costs little and is disconnected; the others notice nothing."""
    count = run.size(20, 4)
    settings = {**ENGINES, "simulated.reply": LONG.strip(), "tts.slots": 64, "llm.slots": 64}
    with running_system(settings) as server:
        alone = await _first_audios(server, count)
        await asyncio.sleep(0.5)
        before_bytes, peak_bytes = resident_bytes(server.pid(GATEWAY)), 0
        async with asyncio.TaskGroup() as group:
            ended: dict[str, asyncio.Event] = {}
            stalled = [
                group.create_task(_stall(server, 4_096 if number % 2 else 0, ended))
                for number in range(count)
            ]
            beside = group.create_task(_first_audios(server, count))
            watching = group.create_task(_watch(server, ended))
            while not all(task.done() for task in stalled):
                peak_bytes = max(peak_bytes, resident_bytes(server.pid(GATEWAY)))
                await asyncio.sleep(0.05)
            watching.cancel()
        closed_s = [task.result() for task in stalled]
        each = max(0, peak_bytes - before_bytes) / count / MIB
        run.notes["first audio alone p95 ms"] = round(percentile(alone, 95) * 1000, 1)
        ratio = percentile(beside.result(), 95) / percentile(alone, 95)
        server.assert_no_traceback()
    return [
        Figure("slow readers not disconnected", sum(at is None for at in closed_s), 0),
        Figure("memory of each", each, 1.0 if count >= 20 else 3.0, "MiB"),
        Figure("longest until closed", max((at or 99.0) for at in closed_s), 10, "s", timed=True),
        Figure("first audio of the others p95, ratio", ratio, 1.10, timed=True),
    ]


async def _stall(
    server: System, receive_buffer_bytes: int, ended: dict[str, asyncio.Event]
) -> float | None:
    """Ask for a long answer and read nothing; return after how long the session was ended."""
    async with raw.opened(server.port, receive_buffer_bytes=receive_buffer_bytes) as session:
        session_id = json.loads((await session.until(raw.TEXT)).payload)["session"]["id"]
        session.writer.transport.pause_reading()  # type: ignore[attr-defined]
        content = [{"type": "input_text", "text": "Speak."}]
        item = {"type": "message", "role": "user", "content": content}
        await session.send(raw.text(type="conversation.item.create", item=item))
        await session.send(raw.text(type="response.create"))
        began_s = time.monotonic()
        ended[session_id] = asyncio.Event()
        with suppress(TimeoutError):
            async with asyncio.timeout(30):
                await ended[session_id].wait()
                return time.monotonic() - began_s
    return None


async def _watch(server: System, ended: dict[str, asyncio.Event]) -> None:
    """Tell which sessions have ended, until cancelled.

    One question for all of them: one from each would be load that the others had not had alone.
    """
    while True:
        await asyncio.sleep(0.5)
        asked = list(ended)
        still_open = await asyncio.to_thread(_open_sessions, server)
        for session_id in asked:
            if session_id not in still_open:
                ended[session_id].set()


def _open_sessions(server: System) -> set[str]:
    answer = server.get("/v1/status")
    assert answer is not None
    return {session["id"] for session in answer.json()["sessions"]}


async def _first_audios(server: System, count: int) -> list[float]:
    async def one(at_s: float) -> float:
        await asyncio.sleep(at_s)
        async with connected(server.realtime_url) as client:
            waits = []
            for _ in range(3):
                waits.append(await first_audio_s(client))
                await client.send("response.cancel")
                await client.done()
            return max(waits)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(0.1 * number)) for number in range(count)]
    return [task.result() for task in tasks]


# --- B9 --------------------------------------------------------------------------------------

SEEDS: tuple[dict[str, Any], ...] = (
    {"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief."}},
    {"type": "input_audio_buffer.append", "audio": "AAAA"},
    {"type": "input_audio_buffer.commit"},
    {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": []},
    },
    {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": 5},
    {"type": "response.create", "response": {"output_modalities": ["text"]}},
    {"type": "response.cancel"},
    {"type": "antiphon.playout", "item_id": "x", "played_ms": 1, "buffered_ms": 1},
)
STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, -(2**63) - 1, 1e308, "", "\0", "x" * 1_000, [], {}, [[[[]]]],
    {"": {"": {}}}, "ek_", "null", 10**30,
)  # fmt: skip
"""What fields are given instead."""


def malformed(chance: random.Random) -> bytes:
    """Return one message that is wrong in a random way, as a frame."""
    event = json.loads(json.dumps(chance.choice(SEEDS)))
    how = chance.randrange(6)
    if how == 0:
        target = event
        while True:
            key = chance.choice(list(target))
            if isinstance(target[key], dict) and target[key] and chance.random() < 0.7:
                target = target[key]
                continue
            target[key] = chance.choice(STRANGE)
            break
        return raw.text(**event) if all(event) else raw.frame(raw.TEXT, json.dumps(event).encode())
    encoded = bytearray(json.dumps(event).encode())
    if how == 1:
        for _ in range(chance.randrange(1, 8)):
            encoded[chance.randrange(len(encoded))] ^= 1 << chance.randrange(7)
        return raw.frame(raw.TEXT, bytes(byte & 0x7F for byte in encoded))
    if how == 2:
        return raw.frame(raw.TEXT, bytes(encoded[: chance.randrange(len(encoded))]))
    if how == 3:
        return raw.frame(raw.TEXT, b'{"type":"session.update","session":"\\ud800"}')
    if how == 4:
        return raw.frame(raw.BINARY, chance.randbytes(chance.randrange(200)))
    return raw.frame(raw.TEXT, b'{"type":' + b"9" * chance.randrange(1, 500) + b"}")


async def _babble(port: int, seed: int, count: int) -> None:
    """Send malformed messages; open another session whenever the server has had enough."""
    chance = random.Random(seed)
    while count > 0:
        async with raw.opened(port, "Sec-WebSocket-Protocol: antiphon.v1") as session:
            reading = asyncio.ensure_future(session.close_code(60))
            while count > 0 and not reading.done():
                batch = min(count, 20)
                await session.send(b"".join(malformed(chance) for _ in range(batch)))
                count -= batch
                await asyncio.sleep(0)
            if not reading.done():
                await session.send(raw.frame(raw.CLOSE, b"\x03\xe8"))
            await reading


@bar("B9", "10,000 malformed WebSocket messages, and RFC 6455 case by case")
async def nonsense(run: Run) -> list[Figure]:
    """No crash, no unhandled exception, nothing left; every framing case as the RFC says."""
    babblers, each = 10, run.size(1_000, 60)
    tally, wrong = Tally(), {}
    everybody = {"gateway.admission_queue_wait_ms": 0}
    with running_system({**ENGINES, **AT_ONCE, **everybody}) as server:
        await tally.hold(server.realtime_url, 1)
        await quiet(server)
        before_tasks = server.metric(TASKS)
        async with asyncio.TaskGroup() as group:
            beside = group.create_task(tally.hold(server.realtime_url, run.size(10, 2)))
            for number in range(babblers):
                group.create_task(_babble(server.port, run.seed + number, each))
        await beside
        cases = framing.cases()
        for case in cases:
            async with raw.opened(server.port) as session:
                try:
                    got = await framing.outcome(session, case)
                except (TimeoutError, EOFError, ConnectionError) as exc:
                    got = type(exc).__name__
                if got != case.expected and (case.name, got) not in ACCEPTED:
                    wrong[case.name] = f"{got}, not {case.expected}"
        left = await _left_over(server)
        more_tasks = await tasks_beyond(server, before_tasks)
        tracebacks = server.logs().lower().count("traceback")
        crashed = sum(process.poll() is not None for process in server.processes.values())
    run.notes |= {"framing cases": len(cases), **wrong}
    return [
        Figure("crashed processes", crashed, 0),
        Figure("exceptions in the logs", tracebacks, 0),
        Figure("sessions left", left, 0),
        Figure("tasks more than before", more_tasks, 0),
        Figure("turns lost beside them", tally.lost + len(tally.faults), 0),
        Figure("framing cases answered wrongly", len(wrong), 0),
    ]


ACCEPTED = {("close 1006", 1000), ("close 5000", 1000), ("close 65535", 1000)}
"""Answers that the RFC does not ask for and that are known: SECURITY.md, known gaps."""


async def _left_over(server: System) -> int:
    """Return how many sessions are still open after 10 s at most."""
    for _ in range(100):
        answer = server.get("/v1/status")
        assert answer is not None
        if not answer.json()["sessions"]:
            return 0
        await asyncio.sleep(0.1)
    return len(answer.json()["sessions"])


# --- B10 -------------------------------------------------------------------------------------


@bar("B10", "4,000 malformed ZMTP connections, and a pickle that would act, to every socket")
async def bad_peers(run: Run) -> list[Figure]:
    """Nothing crashes, nothing is executed, service goes on."""
    tally = Tally()
    with system({**ENGINES, **AT_ONCE}) as server:
        server.start_with_told_jobs(*worker_names(ONE_EACH))
        directory = Path(str(server.settings["bus.runtime_dir"]))
        canary = server.directory / "canary"
        sockets = sorted(path for path in directory.iterdir() if path.is_socket())
        tries = run.size(4_000, 200)
        submitted = server.metric(SUBMITTED)
        refused = sum(
            not poke(sockets[number % len(sockets)], run.chance, canary) for number in range(tries)
        )
        submitted = server.metric(SUBMITTED) - submitted
        await tally.hold(server.realtime_url, 2)
        jobs, strangers = len(server.job_ends()), server.strangers_jobs()
        tracebacks = server.logs().lower().count("traceback")
        crashed = sum(process.poll() is not None for process in server.processes.values())
        executed = int(canary.exists())
    run.notes |= {"sockets": len(sockets), "jobs of the turns afterwards": jobs - strangers}
    return [
        Figure("sockets missing", max(0, 6 - len(sockets)), 0),
        Figure("connections refused", refused, tries // 100),
        Figure("crashed processes", crashed, 0),
        Figure("exceptions in the logs", tracebacks, 0),
        Figure("pickles executed", executed, 0),
        Figure("jobs submitted meanwhile", submitted, 0),
        Figure("jobs that workers did for strangers", strangers, 0),
        # A turn is a transcript, an answer and its clauses.
        Figure("jobs that workers told of, missing", max(0, 6 - (jobs - strangers)), 0),
        Figure("turns lost afterwards", tally.lost + len(tally.faults), 0),
    ]


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + b"\x00" + bytes(31)
"""ZMTP 3.0, mechanism NULL."""


def poke(path: Path, chance: random.Random, canary: Path) -> bool:
    """Send a ZeroMQ socket what no peer would; False when it took no connection."""
    pickled = f"cposix\nmkdir\n(V{canary}\ntR.".encode()
    assert any(opcode.name == "REDUCE" for opcode, _, _ in pickletools.genops(pickled))
    ready = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH"
    whole = GREETING + ready + b"\x01\x01\x01" + bytes([0, len(pickled)]) + pickled
    choices = (
        chance.randbytes(chance.randrange(1, 300)),
        GREETING[: chance.randrange(1, len(GREETING))],
        GREETING + chance.randbytes(64),
        GREETING + b"\x06" + b"\xff" * 8,
        GREETING + ready + b"\x02" + b"\x7f" * 8,
        whole,
        whole + b"\x00" + bytes([len(pickled)]) + pickled,
    )
    with socket.socket(socket.AF_UNIX) as line:
        # Blocking: with a timeout of Python's, a full backlog refuses at once.
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 2, 0))
        try:
            line.connect(str(path))
        except OSError:
            return False
        with suppress(OSError):  # it may close before all is sent
            line.sendall(chance.choice(choices))
    return True


# --- B11 -------------------------------------------------------------------------------------


@bar("B11", "zip bomb, oversize headers, 60,000 fragments, 200 half-sent frames")
async def bombs(run: Run) -> list[Figure]:
    """The gateway's memory hardly grows, and each is closed with the right code."""
    wrong: dict[str, str] = {}
    grown: dict[str, float] = {}
    with running_system(ENGINES, workers={}) as server:
        server.wait_for(lambda: server.get("/healthz") is not None, 20)
        gateway = server.pid(GATEWAY)
        await _half_sent(server.port, 5)
        before_bytes = resident_bytes(gateway)
        bomb = raw.frame(raw.TEXT, bytes(200_000), reserved=4)
        expected = {
            "zip bomb": (bomb, 1002),
            "16 MiB and one byte": (raw.header(0x81, 16 * MIB + 1), 1009),
            "binary of 2^62 bytes": (raw.header(0x82, 2**62), 1009),
        }
        for name, (sent, code) in expected.items():
            async with (
                growing(gateway, name, grown),
                raw.opened(server.port, "Sec-WebSocket-Extensions: permessage-deflate") as session,
            ):
                if "permessage-deflate" in session.answer:
                    wrong[name] = "compression was negotiated"
                await session.send(sent)
                if (got := await session.close_code()) != code:
                    wrong[name] = f"{got}, not {code}"
        async with growing(gateway, "fragments", grown), raw.opened(server.port) as session:
            piece = raw.frame(raw.CONTINUATION, b" ", final=False)
            await session.send(
                raw.frame(raw.TEXT, b" ", final=False) + piece * run.size(60_000, 5_000)
            )
            await session.send(raw.frame(raw.CONTINUATION, b"{}"))
            while b"type is missing" not in (await session.until(raw.TEXT)).payload:
                pass
        in_all = max(0, await _half_sent(server.port, run.size(200, 40), gateway) - before_bytes)
        await asyncio.sleep(1.0)
        sockets_left = await _left_over(server)
        submitted = server.metric(SUBMITTED)
        run.notes["files open afterwards"] = files(gateway)
        server.assert_no_traceback()
    run.notes |= wrong
    run.notes |= {f"memory grown by {name}, MB": round(more, 2) for name, more in grown.items()}
    return [
        Figure("answered with another code", len(wrong), 0),
        Figure("sessions left", sockets_left, 0),
        Figure("jobs submitted", submitted, 0),
        Figure("memory grown by one of the floods", max(grown.values()), 5, "MB"),
        Figure("memory grown", in_all / MIB, 20, "MiB"),
    ]


async def _half_sent(port: int, count: int, pid: int = 0) -> int:
    """Leave messages half sent; return the memory of a process with all of them open."""
    async with asyncio.TaskGroup() as group:
        everyone = asyncio.Barrier(count + 1)

        async def one() -> None:
            async with raw.opened(port) as session:
                await session.send(raw.header(0x81, 65_000) + bytes(32_000))
                await everyone.wait()
                await everyone.wait()

        for _ in range(count):
            group.create_task(one())
        await everyone.wait()
        held = resident_bytes(pid) if pid else 0
        await everyone.wait()
    return held
