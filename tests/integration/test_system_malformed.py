"""What is dropped at the sockets of workers and dispatcher shows in the gateway's /metrics."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from system import DISPATCHER, GATEWAY, ONE_EACH, SIMULATED, System, system, worker_names
from system_client import connected

from antiphon_proto import codec
from antiphon_proto.channel import Bus
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    STAGES,
    Command,
    EnqueueJob,
    GatewayBeat,
    Generate,
    Job,
    Stage,
    Synthesize,
    Transcribe,
)

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(120)]

WORKERS = worker_names(ONE_EACH)
STRANGER = "stranger"
COMMANDS: dict[Stage, Command] = {
    "stt": Transcribe(final=True),
    "llm": Generate(
        messages=(ChatMessage("user", "Hello"),), max_output_tokens=50, temperature=0.0
    ),
    "tts": Synthesize(text="Hello.", voice=""),
}
DROPPED = re.compile(
    r'^antiphon_messages_dropped_total\{reason="malformed",stage="(\w+)"\} (\S+)$', re.MULTILINE
)
EVENT = re.compile(r'^antiphon_dispatch_events_total\{event="malformed"\} (\S+)$', re.MULTILINE)


@pytest.fixture(scope="module", params=["process", "embedded"])
def server(request: pytest.FixtureRequest) -> Iterator[System]:
    settings = {"bus.dispatcher": request.param, "log.level": "DEBUG"}
    with system({**SIMULATED, **settings}) as opened:
        opened.start(*[DISPATCHER] * has_dispatcher(opened), GATEWAY, *WORKERS)
        opened.wait_ready()
        yield opened
        opened.assert_no_traceback()


def has_dispatcher(server: System) -> bool:
    return server.settings["bus.dispatcher"] == "process"


def hub(server: System) -> str:
    return DISPATCHER if has_dispatcher(server) else "gateway-0"


def dropped(server: System) -> Counter[str]:
    """Return the malformed messages of each stage; the event's count is their sum."""
    answer = server.get("/metrics")
    assert answer
    text = answer.body.decode()
    by_stage = Counter({stage: int(float(count)) for stage, count in DROPPED.findall(text)})
    [total] = EVENT.findall(text)
    assert by_stage.keys() == {*STAGES, "unknown"}
    assert by_stage.total() == float(total)
    return by_stage


def pickle(canary: Path) -> tuple[bytes, bytes]:
    return f"cposix\nmkdir\n(V{canary}\ntR.".encode(), b"payload"


def stranger_job(stage: Stage) -> Job:
    """Nothing is wrong with it but whom it is for."""
    return Job(
        job_id=f"forged-{stage}",
        session_id="s",
        turn_id=1,
        revision=0,
        attempt=1,
        reply_to=STRANGER,
        budget_ms=10_000,
        command=COMMANDS[stage],
    )


def job_socket(server: System, worker: str) -> str:
    [path] = (server.directory / "run").glob(f"{worker}.*.jobs")
    return f"ipc://{path}"


def complaints(server: System, worker: str) -> int:
    return sum(line["event"] == "malformed message" for line in server.events(worker))


async def send(bus: Bus, endpoint: str, *messages: tuple[bytes, bytes]) -> None:
    sender = bus.push(endpoint, hwm=10)
    sender.connect()
    assert await sender.writable(5_000)
    for frames in messages:
        assert sender.send(frames)


async def a_turn_is_answered(server: System) -> None:
    async with connected(server.realtime_url) as client:
        await client.say_text("Are you there?")
        assert (await client.done())["status"] == "completed"


async def test_pickles_and_strangers_are_counted_and_nobody_answers_them(
    server: System, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    before = dropped(server)
    expected: Counter[str] = Counter()
    with Bus(server.directory / "run") as bus:
        ears = [
            bus.pull(bus.endpoint(f"{STRANGER}.{channel}"), hwm=10)
            for channel in ("results", "notices")
        ]
        for stage in STAGES:
            forged = codec.encode(stranger_job(stage), bytes(320) if stage == "stt" else b"")
            await send(bus, job_socket(server, f"{stage}-0"), pickle(canary), forged)
            expected[stage] += 2
        await send(bus, bus.endpoint(f"{hub(server)}.status"), pickle(canary))
        await send(bus, bus.endpoint("gateway-0.results"), pickle(canary))
        expected["unknown"] += 2
        if has_dispatcher(server):
            beat = codec.encode(GatewayBeat(gateway=STRANGER))
            forged = codec.encode(EnqueueJob(job=stranger_job("tts")))
            await send(bus, bus.endpoint("dispatcher.requests"), pickle(canary), beat, forged)
            await send(bus, bus.endpoint("gateway-0.notices"), pickle(canary))
            expected["unknown"] += 4
        server.wait_for(lambda: dropped(server) - before == expected, 10)
        await a_turn_is_answered(server)
        assert [ear.at_hand() for ear in ears] == [[], []]
    assert dropped(server) - before == expected
    done = [line for name in WORKERS for line in server.events(name) if line["event"] == "job done"]
    assert done
    assert not [line for line in done if line["job_id"].startswith("forged")]
    assert not canary.exists()


async def test_what_a_worker_dropped_while_nobody_listened_is_told_later(
    server: System, tmp_path: Path
) -> None:
    """A new gateway counts from zero; a new dispatcher's count is added to what was known."""
    before = dropped(server) if has_dispatcher(server) else Counter[str]()
    program = DISPATCHER if has_dispatcher(server) else GATEWAY
    known = complaints(server, "tts-0")
    server.kill(program)
    with Bus(server.directory / "run") as bus:
        await send(bus, job_socket(server, "tts-0"), pickle(tmp_path / "canary"))
        server.wait_for(lambda: complaints(server, "tts-0") > known, 10, everyone_lives=False)
        server.start(program)
        server.wait_for(lambda: server.get("/metrics") is not None, 30)
        server.wait_for(lambda: dropped(server) - before == Counter(tts=1), 10)
        await send(bus, bus.endpoint(f"{hub(server)}.status"), pickle(tmp_path / "canary"))
        server.wait_for(lambda: dropped(server) - before == Counter(tts=1, unknown=1), 10)
