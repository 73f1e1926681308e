"""`antiphon models use` under talk, real processes: no turn and no sample is lost or repeated."""

import asyncio
import contextlib
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ports import free_port
from servers import AT_ONCE, ENGINES, GATEWAY, Up, running_up
from system_client import connected, word_errors
from talk import Tally, spoken_turn

from antiphon import programs
from antiphon.change_lock import alone
from antiphon_proto import curve
from antiphon_proto.addresses import process_names
from antiphon_proto.config import load

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

BUSY: dict[str, Any] = {
    **ENGINES,
    **AT_ONCE,
    "simulated.stt_ms": 200,
    "simulated.llm_token_ms": 20,
    "simulated.tts_real_time_factor": 0.15,
    "simulated.load_ms": 500,
    "stt.processes": 2,
    "tts.processes": 2,
}
SESSIONS = 4
MOST_TRIES = 4
"""To tell a worker to go while it holds a job; with four sessions it mostly does."""
REAL = {
    "stt.turn_end_model": "",
    "llm.engine": "simulated",
    "simulated.reply": "It is ten past two.",
    **AT_ONCE,
}
SAID = "should I get a dog or a cat"


@pytest.fixture(
    scope="module", params=["builtin", pytest.param("supervisord", marks=pytest.mark.thorough)]
)
def server(request: pytest.FixtureRequest) -> Iterator[Up]:
    with running_up(BUSY, request.param) as running:
        yield running
        assert "traceback" not in running.logs().lower()


def runtime(server: Up) -> Path:
    return Path(str(server.settings["bus.runtime_dir"]))


class Command:
    """An `antiphon` command for a server, while it runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""

    async def read_until(self, text: str, times: int = 1) -> None:
        """Read its lines until some of them held a text."""
        assert self.process.stdout is not None
        while times and (line := await self.process.stdout.readline()):
            self.output += line.decode()
            times -= text in line.decode()
        assert not times, self.output

    async def end(self) -> int:
        """Read the rest; return its exit code."""
        assert self.process.stdout is not None
        self.output += (await self.process.stdout.read()).decode()
        return await self.process.wait()


async def begun(server: Up, *words: str) -> Command:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "antiphon", *words),
        *("--set", f"bus.runtime_dir={runtime(server)}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    return Command(process)


async def run(server: Up, *words: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it printed."""
    command = await begun(server, *words)
    return await command.end(), command.output


async def use(server: Up, *words: str) -> str:
    """Use another model; return what was printed."""
    code, output = await run(server, "models", "use", *words)
    assert code == 0, output
    return output


def models(server: Up) -> dict[str, str]:
    """Return what each worker runs."""
    answer = server.get("/v1/status")
    assert answer is not None
    stages = answer.json()["stages"].values()
    return {w["worker_id"]: w["model"] for stage in stages for w in stage["workers"]}


def listed(server: Up) -> list[str]:
    answer = server.get("/v1/models")
    assert answer is not None
    return [model["id"] for model in answer.json()["data"]]


async def until(server: Up, condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(server.wait_for, condition, 60.0)


def held_when_told(server: Up, stage: str) -> list[int]:
    """Return how many jobs each worker of a stage held when it was told to go."""
    names = [path.stem for path in server.log_file("x").parent.glob(f"{stage}-*.log")]
    events = [event for name in names for event in server.events(name)]
    return [event["running"] for event in events if event["event"] == "worker draining"]


@contextlib.asynccontextmanager
async def talked_to(server: Up) -> AsyncIterator[Tally]:
    """Hold conversations during the block; after it nothing in them may be wrong."""
    tally, over = Tally(), asyncio.Event()

    async def talk() -> None:
        while not over.is_set():
            await tally.hold(server.realtime_url, 2)

    async with asyncio.TaskGroup() as group:
        for _ in range(SESSIONS):
            group.create_task(talk())
        await until(server, lambda: tally.turns >= SESSIONS)
        yield tally
        over.set()
    assert (tally.lost, tally.faults) == (0, [])


async def test_transcriber_voice_and_model_are_swapped_under_talk_and_nothing_is_lost(
    server: Up,
) -> None:
    async with talked_to(server) as tally:
        for stage in ("stt", "tts", "llm"):
            output = await use(server, f"{stage}=new-{stage}")
            told = re.findall(r"^  .*(loading$|joined|left)", output, re.MULTILINE)
            assert told == ["loading", "joined", "left"] * BUSY.get(f"{stage}.processes", 1)
            assert f'[{stage}]\nengine = "simulated"\nmodel = "new-{stage}"' in output
        turns = tally.turns
        await until(server, lambda: tally.turns >= turns + SESSIONS)
    running = models(server)
    assert sorted(running.values()) == ["new-llm", "new-stt", "new-stt", "new-tts", "new-tts"]
    assert listed(server) == ["new-llm", "new-stt", "new-tts"]
    assert server.programs().keys() == {GATEWAY, *running}
    async with connected(server.realtime_url) as client:
        session = client.events[0]["session"]
    assert session["model"] == "new-llm"
    assert session["audio"]["output"]["voice"] == "new-tts"
    assert not [event for event in server.events(GATEWAY) if event["event"] == "worker lost"]
    assert "was started again" not in server.logs()


@pytest.mark.thorough
async def test_a_voice_that_goes_finishes_what_it_holds(server: Up) -> None:
    async with talked_to(server):
        for number in range(MOST_TRIES):
            await use(server, f"tts=mouth-{number}")
            if any(held_when_told(server, "tts")):
                break
    assert any(held_when_told(server, "tts"))
    assert not [event for event in server.events(GATEWAY) if event["event"] == "worker lost"]


async def test_one_that_cannot_load_is_refused_and_the_old_one_serves_on(server: Up) -> None:
    before, pids = models(server), server.programs()
    settings = (runtime(server) / programs.SETTINGS_NAME).read_text()
    code, output = await run(server, "models", "use", "stt=x", "--set", "stt.engine=nosuch")
    assert code == 2
    assert "there is no stt engine nosuch; set stt.engine to one of" in output
    assert "stt goes on as before" in output
    assert (models(server), server.programs()) == (before, pids)
    assert (runtime(server) / programs.SETTINGS_NAME).read_text() == settings


async def test_one_that_main_memory_does_not_hold_is_refused_unless_it_is_ignored(
    server: Up, tmp_path: Path
) -> None:
    before, pids = models(server), server.programs()
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 43)  # a hole, which takes no room on the disk
    code, output = await run(server, "models", "use", f"stt={large}")
    assert code == 2
    # Two of them beside one old one, each with half as much to compute in.
    assert re.search(r"no room for .*large .* about 26\d+\.\d GB .* and [\d.]+ [GM]B are", output)
    assert "--ignore-memory" in output
    assert (models(server), server.programs()) == (before, pids)
    code, output = await run(server, "models", "use", f"stt={large}", "--ignore-memory")
    assert code == 0, output
    assert list(models(server).values()).count(str(large)) == BUSY["stt.processes"]
    await use(server, "stt=new-stt")


async def test_ctrl_c_while_the_new_one_loads_takes_it_back(server: Up) -> None:
    before, pids = models(server), server.programs()
    command = await begun(server, "models", "use", "stt=other")
    await command.read_until(": loading")
    command.process.send_signal(signal.SIGINT)
    assert await command.end() == 130
    assert "stt goes on as before" in command.output
    assert (models(server), server.programs()) == (before, pids)


@pytest.mark.thorough
async def test_ctrl_c_between_two_workers_goes_back_to_the_old_one(server: Up) -> None:
    before = sorted(models(server).values())
    async with talked_to(server):
        command = await begun(server, "models", "use", "stt=other")
        await command.read_until(": loading", times=2)
        command.process.send_signal(signal.SIGINT)
        assert await command.end() == 130
    assert "stt goes on as before" in command.output
    assert sorted(models(server).values()) == before


@pytest.mark.thorough
async def test_a_second_ctrl_c_leaves_both_in_use_and_the_next_command_mends_it(server: Up) -> None:
    async with talked_to(server):
        command = await begun(server, "models", "use", "stt=other")
        for loading in (2, 1):
            await command.read_until(": loading", times=loading)
            command.process.send_signal(signal.SIGINT)
        assert await command.end() == 130
        assert "old and new are in use now, run the command again" in command.output
        assert "other" in models(server).values()
        await use(server, "stt=third")
    stt = [model for name, model in models(server).items() if name.startswith("stt")]
    assert stt == ["third", "third"]


async def test_one_change_at_a_time(server: Up) -> None:
    with alone(runtime(server)):
        for words in (("models", "use", "stt=other"), ("scale", "stt=3")):
            code, output = await run(server, *words)
            assert code == 2
            assert "wait until it ends" in output


@pytest.mark.thorough
async def test_what_comes_after_a_swap_runs_the_new_model(server: Up) -> None:
    command = await begun(server, "models", "use", "llm=brain-b", "--json")
    assert await command.end() == 0
    told = json.loads(command.output.splitlines()[-1])
    assert told["switched"]
    assert 'model = "brain-b"' in told["keep"]
    [name] = [name for name in models(server) if name.startswith("llm")]
    pid = server.pid(name)
    server.kill(name)
    await until(server, lambda: server.programs().get(name, pid) != pid and server.is_ready())
    code, output = await run(server, "scale", "llm=2")
    assert code == 0, output
    assert [model for key, model in models(server).items() if key.startswith("llm")] == [
        "brain-b"
    ] * 2
    assert listed(server)[0] == "brain-b"


@pytest.fixture
def server_with_keys(tmp_path: Path) -> Iterator[Up]:
    address = f"tcp://127.0.0.1:{free_port()}"
    settings = {**ENGINES, **AT_ONCE, "bus.address": address, "bus.key_dir": tmp_path}
    flags = [f"{key}={value}" for key, value in settings.items()]
    for name in (*process_names(load(environment={}, settings=flags)), "stt-1", "tts-1"):
        curve.make(tmp_path, name)
    with running_up(settings) as running:
        yield running
        assert "traceback" not in running.logs().lower()


async def test_with_keys_workers_come_are_swapped_and_go_and_strangers_are_named(
    server_with_keys: Up,
) -> None:
    server = server_with_keys
    async with talked_to(server) as tally:
        code, output = await run(server, "scale", "stt=2")
        assert code == 0, output
        for voice, name in (("voice-b", "tts-1"), ("voice-c", "tts-0")):
            await use(server, f"tts={voice}")
            assert models(server)[name] == voice
        code, output = await run(server, "scale", "stt=1")
        assert code == 0, output
        turns = tally.turns
        await until(server, lambda: tally.turns >= turns + SESSIONS)
        for words in (("scale", "stt=3"), ("scale", "llm=2"), ("models", "use", "llm=other")):
            before = models(server)
            code, output = await run(server, *words)
            assert code == 2
            name = "stt-2" if "stt=3" in words else "llm-1"
            assert f"{name} has no key" in output
            assert f"antiphon keys make {name}" in output
            assert models(server) == before
    assert sorted(models(server)) == ["llm-0", "stt-0", "tts-0"]
    assert not list(runtime(server).glob("*.jobs"))


@pytest.mark.models
@pytest.mark.thorough
async def test_whisper_moonshine_and_the_voice_are_swapped_while_one_talks() -> None:
    with running_up(REAL) as server:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:

            async def talk() -> list[str]:
                async with connected(server.realtime_url, extended=True) as client:
                    await client.push_to_talk()
                    held = 0
                    while not over.is_set():
                        await spoken_turn(client)
                        held += 1
                    done = [event["response"] for event in client.of_type("response.done")]
                    assert [each["status"] for each in done] == ["completed"] * held
                    assert client.reply_deltas == REAL["simulated.reply"] * held
                    return client.transcripts

            talking = group.create_task(talk())
            await use(server, "moonshine-tiny-en")
            await use(server, "en_US-joe-medium", "--set", "tts.streaming=false")
            over.set()
        transcripts = talking.result()
        assert len(transcripts) >= 3
        assert word_errors([SAID] * len(transcripts), transcripts) < 0.2, transcripts
        assert listed(server)[1:] == ["moonshine-tiny-en", "en_US-joe-medium"]
        [event] = [event for event in server.events("tts-1") if event["event"] == "engine loaded"]
        assert event["engine"] == "piper"
