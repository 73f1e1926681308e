"""A server is separate processes that say how they are, stop in good order and idle cheaply."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from system import (
    GATEWAY,
    ONE_EACH,
    SIMULATED,
    System,
    children,
    is_running,
    running_system,
    system,
    worker_names,
)
from system_client import Client, Microphone, connected, open_microphone

pytestmark = [pytest.mark.integration, pytest.mark.models]

logger = logging.getLogger(__name__)
PROGRAMS = {GATEWAY, "stt-0", "llm-0", "tts-0"}
IDLE_S = 10.0
MOST_IDLE_CPU = 0.10
"""Of one core, all processes together."""
MOST_RESIDENT_BYTES = 1.5 * 1024**3


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    with running_system(SIMULATED) as running:
        yield running


def command(pid: int) -> list[str]:
    """Return program and arguments of a process, without the interpreter and `--set`."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    words = words[1:] if "python" in Path(words[0]).name else words
    return [Path(words[0]).name, *words[1:]]


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Return the memory that a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


async def spoken_turn(client: Client) -> None:
    await client.speak("dog_or_cat")
    assert (await client.done())["status"] == "completed"


def test_each_stage_is_a_process_under_its_own_name(server: System) -> None:
    commands = {name: command(server.pid(name)) for name in server.processes}
    assert len({server.pid(name) for name in server.processes}) == 4
    assert commands[GATEWAY][0] == "antiphon-gateway"
    for stage in ("stt", "llm", "tts"):
        assert commands[f"{stage}-0"][:4] == ["antiphon-worker", stage, "--index", "0"]
    shown = subprocess.run(
        ["ps", "-o", "comm=", "-p", ",".join(str(server.pid(name)) for name in PROGRAMS)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(shown.stdout.split()) == ["antiphon-gatewa", *["antiphon-worker"] * 3]


def test_health_is_answered_at_once_and_readiness_says_what_is_missing() -> None:
    with system({**SIMULATED, "simulated.load_ms": 1_500}) as server:
        server.start(GATEWAY)
        server.wait_for(lambda: server.get("/healthz") is not None, 20)
        health, ready = server.get("/healthz"), server.get("/readyz")
        assert health is not None
        assert (health.status, health.json()) == (200, {"status": "ok"})
        assert ready is not None
        assert ready.status == 503
        body = ready.json()
        assert (body["ready"], body["draining"]) == (False, False)
        assert {stage["reason"] for stage in body["stages"].values()} == {
            "no worker has announced itself"
        }
        server.start(*worker_names(ONE_EACH))
        server.wait_for(lambda: "tts-0 is loading" in server.wait_not_ready("tts"), 20)
        server.wait_ready()
        server.kill("tts-0")
        assert "tts-0 is gone" in server.wait_not_ready("tts")
        answer = server.get("/readyz")
        assert answer is not None
        stages = answer.json()["stages"]
        assert [name for name, stage in stages.items() if not stage["ready"]] == ["tts"]
        server.start("tts-0")
        server.wait_ready()


async def test_sigterm_lets_a_turn_finish_and_closes_who_is_idle_at_once() -> None:
    with running_system({**SIMULATED, "simulated.tts_real_time_factor": 1.0}) as server:
        async with connected(server.realtime_url) as idle, connected(server.realtime_url) as busy:
            await busy.say_text("Speak.")
            await busy.event("response.output_audio.delta")
            async with contextlib.AsyncExitStack() as stack:
                microphone = Microphone(idle)
                await stack.enter_async_context(open_microphone(microphone))
                server.signal(GATEWAY, signal.SIGTERM)
                assert await idle.close_code() == 1012
            answer = server.get("/readyz")
            assert answer is not None
            assert (answer.status, answer.json()["draining"]) == (503, True)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with connected(server.realtime_url):
                    pass
            assert refused.value.status == 503
            assert refused.value.headers is not None
            assert int(refused.value.headers["Retry-After"]) > 0
            assert (await busy.done())["status"] == "completed"
            assert busy.reply_deltas == "This is a simulated reply. It has two sentences."
            assert await busy.close_code() == 1012
            assert server.wait_ended(GATEWAY) == 0
        for name in ("stt-0", "llm-0", "tts-0"):
            server.signal(name, signal.SIGTERM)
            assert server.wait_ended(name) == 0
        server.assert_no_traceback()


@pytest.mark.parametrize("drain_s", [0, 600])
async def test_a_turn_is_cut_off_when_patience_ends_or_at_the_second_signal(drain_s: int) -> None:
    endless = {"simulated.reply": "This takes a while to say. " * 20, "gateway.drain_s": drain_s}
    with running_system({**SIMULATED, **endless}) as server:
        async with connected(server.realtime_url) as busy:
            await busy.say_text("Speak.")
            await busy.event("response.output_audio.delta")
            server.signal(GATEWAY, signal.SIGTERM)
            if drain_s:
                server.wait_for(lambda: "gateway draining" in server.log(GATEWAY), 10)
                await busy.event("response.output_audio.delta")
                server.signal(GATEWAY, signal.SIGTERM)
            assert await busy.close_code() == 1012
            assert not busy.of_type("response.done")
            assert server.wait_ended(GATEWAY) == 0
        server.assert_no_traceback()


async def test_sigterm_lets_a_worker_finish_its_sentence_first() -> None:
    slow = {
        **SIMULATED,
        "simulated.tts_real_time_factor": 0.5,
        "playout.unreported_lead_ms": 60_000,
    }
    with running_system(slow) as server:
        async with connected(server.realtime_url) as client:
            await client.say_text("Speak.")
            await client.event("response.output_audio.delta")
            server.signal("tts-0", signal.SIGTERM)
            server.start("tts-1")
            assert (await client.done())["status"] == "completed"
            assert client.reply_deltas == "This is a simulated reply. It has two sentences."
            assert server.wait_ended("tts-0") == 0
            # Its connection may close before its goodbye is read; no job was at it any more.
            assert not [event for event in server.events(GATEWAY) if event.get("reissued")]


async def test_antiphon_up_runs_restarts_and_stops_all_of_it() -> None:
    with system(SIMULATED) as server, antiphon_up(server) as up:
        server.wait_for(server.is_ready, 40)
        [supervisor] = children(up.pid)
        before = {tuple(command(pid)[:2]): pid for pid in children(supervisor)}
        names = sorted(name for name, _ in before)
        assert names == ["antiphon-gateway", *["antiphon-worker"] * 3]
        async with connected(server.realtime_url) as client:
            os.kill(before["antiphon-worker", "llm"], signal.SIGKILL)
            await spoken_turn(client)
        after = {tuple(command(pid)[:2]): pid for pid in children(supervisor)}
        replaced = {name for name in before if before[name] != after[name]}
        assert replaced == {("antiphon-worker", "llm")}
        up.send_signal(signal.SIGINT)
        output, _ = up.communicate(timeout=40)
        assert up.returncode == 0
        assert "Ready after" in output
        assert not [pid for pid in after.values() if is_running(pid)]


async def test_antiphon_up_lets_a_turn_finish_unless_a_person_waits() -> None:
    endless = {**SIMULATED, "simulated.reply": "This takes a while to say. " * 2}
    for number, finished in ((signal.SIGTERM, True), (signal.SIGINT, False)):
        with system(endless) as server, antiphon_up(server) as up:
            server.wait_for(server.is_ready, 40)
            async with connected(server.realtime_url) as busy:
                await busy.say_text("Speak.")
                await busy.event("response.output_audio.delta")
                up.send_signal(number)
                assert await busy.close_code() == 1012
                assert bool(busy.of_type("response.done")) == finished
            up.communicate(timeout=40)
            assert up.returncode == 0


@contextlib.contextmanager
def antiphon_up(server: System) -> Iterator["subprocess.Popen[str]"]:
    """Run `antiphon up` with a server's settings; kill it when it is still there at the end."""
    flags = [f"--set={key}={value}" for key, value in server.settings.items()]
    up = subprocess.Popen(
        [sys.executable, "-m", "antiphon", "up", *flags],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield up
    finally:
        if up.poll() is None:
            up.kill()
            up.communicate()


@pytest.mark.timeout(120)
async def test_the_embedded_server_idles_cheaply(embedded_system: System) -> None:
    async with connected(embedded_system.realtime_url) as client:
        await client.say_text("Warm up.")
        await client.send("response.cancel")
        await client.done()
        pids = {name: embedded_system.pid(name) for name in embedded_system.processes}
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        await asyncio.sleep(IDLE_S)
        used = {name: (cpu_s(pid) - before[name]) / IDLE_S for name, pid in pids.items()}
    resident = {name: resident_bytes(pid) for name, pid in pids.items()}
    figures = {
        name: f"{100 * used[name]:.1f} % of a core, {resident[name] / 2**20:.0f} MiB"
        for name in pids
    }
    logger.info("idle: %s", figures)
    assert sum(used.values()) < MOST_IDLE_CPU, figures
    assert sum(resident.values()) < MOST_RESIDENT_BYTES, figures
