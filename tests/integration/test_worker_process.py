"""The worker program against a gateway's sockets: announce, serve, cancel, refuse, drain."""

import asyncio
import json
import signal
import sys
import sysconfig
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from antiphon_proto import codec
from antiphon_proto.channel import Bus, Receiver, Sender
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    AudioDelta,
    CancelJobs,
    Command,
    Done,
    Finished,
    Generate,
    Goodbye,
    Heartbeat,
    Job,
    Loading,
    Message,
    Refused,
    Result,
    Stage,
    Status,
    Synthesize,
    TextDelta,
    Transcribe,
    Transcript,
)
from antiphon_workers.tts.simulated import tone

pytestmark = pytest.mark.integration

WORKER = Path(sysconfig.get_path("scripts")) / "antiphon-worker"
MessageT = TypeVar("MessageT", bound=Message)
StatusT = TypeVar("StatusT", Loading, Heartbeat, Finished, Refused, Goodbye)


class Inbox:
    """What arrived on one channel and was not yet asked for."""

    def __init__(self, receiver: Receiver, decoder: codec.Codec[MessageT]) -> None:
        self._receiver = receiver
        self._decoder = decoder
        self._waiting: deque[tuple[Message, bytes]] = deque()

    async def next(self) -> tuple[Message, bytes]:
        while not self._waiting:
            batch = await self._receiver.receive()
            self._waiting.extend(self._decoder.decode(frames) for frames in batch)
        return self._waiting.popleft()


class Gateway:
    """The gateway's ends of the channels, and the worker processes it talks to."""

    def __init__(self, runtime_dir: Path) -> None:
        self.runtime_dir = runtime_dir
        self.bus = Bus(runtime_dir)
        self._results = Inbox(
            self.bus.pull(self.bus.endpoint("gateway-0.results"), hwm=256), codec.results
        )
        self._status = Inbox(
            self.bus.pull(self.bus.endpoint("gateway-0.status"), hwm=1_000), codec.status
        )
        self.control = self.bus.publish(self.bus.endpoint("gateway-0.control"), hwm=1_000)
        self.processes: list[asyncio.subprocess.Process] = []

    async def start(self, stage: Stage, *settings: str) -> asyncio.subprocess.Process:
        """Start `antiphon-worker` with the simulated engine."""
        simulated = (f"bus.runtime_dir={self.runtime_dir}", f"{stage}.engine=simulated")
        flags = [flag for setting in (*simulated, *settings) for flag in ("--set", setting)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, WORKER, stage, *flags, stderr=asyncio.subprocess.PIPE
        )
        self.processes.append(process)
        return process

    async def status(
        self, kind: type[StatusT], matches: Callable[[StatusT], bool] = lambda _: True
    ) -> StatusT:
        """Return the next status of a kind, dropping others."""
        while True:
            message, _ = await self._status.next()
            if isinstance(message, kind) and matches(message):
                return message

    async def next_status(self) -> Status:
        message, _ = await self._status.next()
        assert isinstance(message, Loading | Heartbeat | Finished | Refused | Goodbye)
        return message

    async def result(self) -> tuple[Result, bytes]:
        message, payload = await self._results.next()
        assert isinstance(message, Result)
        return message, payload

    async def results(self) -> list[tuple[Result, bytes]]:
        """Return the results up to and including the terminal one."""
        collected = [await self.result()]
        while not isinstance(collected[-1][0].body, Done):
            collected.append(await self.result())
        return collected

    async def connect(self, heartbeat: Heartbeat) -> Sender:
        jobs = self.bus.push(heartbeat.endpoint, hwm=heartbeat.slots + 1)
        jobs.connect()
        assert await jobs.writable(5_000)
        return jobs


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    with tempfile.TemporaryDirectory(prefix="antiphon-") as directory:
        opened = Gateway(Path(directory))
        yield opened
        for process in opened.processes:
            if process.returncode is None:
                process.kill()
            await process.communicate()
        opened.bus.close()


def job(command: Command, job_id: str = "job-1", attempt: int = 1) -> Job:
    return Job(
        job_id=job_id,
        session_id="session-1",
        turn_id=3,
        revision=1,
        attempt=attempt,
        reply_to="gateway-0",
        budget_ms=10_000,
        command=command,
    )


GENERATE = Generate(messages=(ChatMessage("user", "Hello"),), max_output_tokens=50, temperature=0.0)
LONG_SPEECH = Synthesize(text="long " * 200, voice="")
SLOW_SPEECH = ("simulated.tts_real_time_factor=1.0",)


async def test_a_loading_worker_says_so_and_then_announces_itself(gateway: Gateway) -> None:
    await gateway.start("stt", "simulated.load_ms=700")
    first = await gateway.next_status()
    assert isinstance(first, Loading)
    assert (first.worker_id, first.stage, first.engine) == ("stt-0", "stt", "simulated")
    later = await gateway.status(Loading)
    assert later.elapsed_ms > first.elapsed_ms
    heartbeat = await gateway.status(Heartbeat)
    assert (heartbeat.slots, heartbeat.running, heartbeat.last_step_age_ms) == (2, (), 0)
    assert heartbeat.pid == gateway.processes[0].pid
    assert heartbeat.endpoint.endswith(f"stt-0.{heartbeat.incarnation}.jobs")


async def test_a_transcribe_job_gives_its_transcript_then_done_then_a_free_slot(
    gateway: Gateway,
) -> None:
    await gateway.start("stt", "simulated.transcript=good morning")
    jobs = await gateway.connect(await gateway.status(Heartbeat))
    assert jobs.send(codec.encode(job(Transcribe(final=True), attempt=2), bytes(3_200)))
    results = [result for result, _ in await gateway.results()]
    assert [result.index for result in results] == [0, 1]
    assert {(r.job_id, r.session_id, r.turn_id, r.revision, r.attempt) for r in results} == {
        ("job-1", "session-1", 3, 1, 2)
    }
    assert results[0].body == Transcript(text="good morning")
    finished = await gateway.status(Finished)
    assert (finished.job_id, finished.attempt) == ("job-1", 2)


async def test_the_first_result_of_a_job_made_again_is_logged(gateway: Gateway) -> None:
    worker = await gateway.start("llm")
    jobs = await gateway.connect(await gateway.status(Heartbeat))
    for attempt in (1, 2):
        assert jobs.send(codec.encode(job(GENERATE, attempt=attempt)))
        await gateway.results()
    worker.terminate()
    _, log = await worker.communicate()
    lines = [json.loads(line) for line in log.splitlines()]
    [line] = [line for line in lines if line["event"] == "first result of a job made again"]
    assert (line["job_id"], line["attempt"]) == ("job-1", 2)
    assert (line["session_id"], line["turn_id"]) == ("session-1", 3)


async def test_a_generate_job_streams_the_reply_and_counts_its_tokens(gateway: Gateway) -> None:
    await gateway.start("llm", "simulated.reply=One two three.")
    jobs = await gateway.connect(await gateway.status(Heartbeat))
    assert jobs.send(codec.encode(job(GENERATE)))
    bodies = [result.body for result, _ in await gateway.results()]
    texts = [body.text for body in bodies if isinstance(body, TextDelta)]
    assert texts == ["One", " two", " three."]
    done = bodies[-1]
    assert isinstance(done, Done)
    assert (done.input_tokens, done.output_tokens, done.finish_reason) == (1, 3, "stop")


async def test_a_synthesize_job_streams_every_sample_in_order(gateway: Gateway) -> None:
    await gateway.start("tts")
    jobs = await gateway.connect(await gateway.status(Heartbeat))
    assert jobs.send(codec.encode(job(Synthesize(text="Hello there, friend.", voice=""))))
    results = await gateway.results()
    assert [result.index for result, _ in results] == list(range(len(results)))
    assert all(isinstance(result.body, AudioDelta) for result, _ in results[:-1])
    assert b"".join(payload for _, payload in results) == tone("job-1", "Hello there, friend.")


async def test_a_cancelled_job_ends_with_finished_alone(gateway: Gateway) -> None:
    await gateway.start("tts", *SLOW_SPEECH)
    jobs = await gateway.connect(await gateway.status(Heartbeat))
    assert jobs.send(codec.encode(job(LONG_SPEECH)))
    await gateway.result()
    assert gateway.control.send(codec.encode(CancelJobs(job_ids=("job-0", "job-1"))))
    assert (await gateway.status(Finished)).job_id == "job-1"
    short = job(Synthesize(text="Hi", voice=""), job_id="job-2")
    assert jobs.send(codec.encode(short))
    results = await gateway.results()
    assert all(not isinstance(r.body, Done) for r, _ in results if r.job_id == "job-1")
    assert results[-1][0].job_id == "job-2"


async def test_a_cancellation_of_an_earlier_try_leaves_a_later_one_running(
    gateway: Gateway,
) -> None:
    await gateway.start("tts", *SLOW_SPEECH, "tts.slots=2")
    jobs = await gateway.connect(await gateway.status(Heartbeat))
    for attempt in (1, 2):
        assert jobs.send(codec.encode(job(LONG_SPEECH, attempt=attempt)))
    await gateway.status(Heartbeat, lambda heartbeat: len(heartbeat.running) == 2)
    assert gateway.control.send(codec.encode(CancelJobs(job_ids=("job-1",), through_attempt=1)))
    assert (await gateway.status(Finished)).attempt == 1
    heartbeat = await gateway.status(Heartbeat)
    assert heartbeat.running == ("job-1",)


async def test_a_job_beyond_the_slots_is_refused_and_the_running_one_goes_on(
    gateway: Gateway,
) -> None:
    await gateway.start("tts", *SLOW_SPEECH, "tts.slots=1")
    jobs = await gateway.connect(await gateway.status(Heartbeat))
    assert jobs.send(codec.encode(job(LONG_SPEECH)))
    await gateway.result()
    assert jobs.send(codec.encode(job(LONG_SPEECH, job_id="job-2")))
    refused = await gateway.status(Refused)
    assert (refused.job_id, refused.reason) == ("job-2", "busy")
    heartbeat = await gateway.status(Heartbeat)
    assert heartbeat.running == ("job-1",)


async def test_malformed_jobs_are_refused_or_dropped_and_the_worker_goes_on(
    gateway: Gateway,
) -> None:
    await gateway.start("stt")
    jobs = await gateway.connect(await gateway.status(Heartbeat))
    assert jobs.send((b"\x01\xff\xff", b""))
    assert jobs.send(codec.encode(job(GENERATE, job_id="wrong-stage")))
    assert (await gateway.status(Refused)).reason == "malformed"
    assert jobs.send(codec.encode(job(Transcribe(final=True), job_id="odd"), b"\x00"))
    refused = await gateway.status(Refused)
    assert (refused.job_id, refused.reason) == ("odd", "malformed")
    assert jobs.send(codec.encode(job(Transcribe(final=True)), bytes(320)))
    assert len(await gateway.results()) == 2


async def test_a_log_line_of_a_job_has_its_session_turn_and_revision(gateway: Gateway) -> None:
    process = await gateway.start("stt", "log.level=DEBUG")
    jobs = await gateway.connect(await gateway.status(Heartbeat))
    assert jobs.send(codec.encode(job(Transcribe(final=True)), bytes(320)))
    await gateway.results()
    process.terminate()
    _, written = await process.communicate()
    lines = [json.loads(line) for line in written.decode().splitlines()]
    [done] = [line for line in lines if line["event"] == "job done"]
    assert (done["job_id"], done["session_id"]) == ("job-1", "session-1")
    assert (done["turn_id"], done["revision"]) == (3, 1)


async def test_sigterm_finishes_the_running_job_refuses_others_and_exits_0(
    gateway: Gateway,
) -> None:
    process = await gateway.start("tts", *SLOW_SPEECH)
    jobs = await gateway.connect(await gateway.status(Heartbeat))
    text = "One second of speech, more or less."
    assert jobs.send(codec.encode(job(Synthesize(text=text, voice=""))))
    first, audio = await gateway.result()
    process.send_signal(signal.SIGTERM)
    draining = await gateway.status(Heartbeat, lambda heartbeat: heartbeat.slots == 0)
    assert draining.running == ("job-1",)
    assert jobs.send(codec.encode(job(LONG_SPEECH, job_id="job-2")))
    assert (await gateway.status(Refused)).reason == "draining"
    rest = await gateway.results()
    assert audio + b"".join(payload for _, payload in rest) == tone("job-1", text)
    await gateway.status(Finished)
    await gateway.status(Goodbye)
    assert await process.wait() == 0
    assert first.index == 0
    assert not list(gateway.runtime_dir.glob("tts-0.*.jobs"))


async def test_sigterm_while_loading_exits_0_without_waiting(gateway: Gateway) -> None:
    process = await gateway.start("stt", "simulated.load_ms=600000")
    await gateway.status(Loading)
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_a_worker_finds_a_gateway_that_starts_after_it(gateway: Gateway) -> None:
    await gateway.start("stt", "gateway.name=late")
    late = Inbox(gateway.bus.pull(gateway.bus.endpoint("late.status"), hwm=10), codec.status)
    message, _ = await late.next()
    while isinstance(message, Loading):
        message, _ = await late.next()
    assert isinstance(message, Heartbeat)


async def test_results_wait_for_a_gateway_that_is_slow_to_take_them(gateway: Gateway) -> None:
    await gateway.start("tts", "simulated.tts_chunk_ms=1", "simulated.tts_real_time_factor=0")
    jobs = await gateway.connect(await gateway.status(Heartbeat))
    text = "much more than the pipe holds " * 10
    assert jobs.send(codec.encode(job(Synthesize(text=text, voice=""))))
    # Two heartbeats with the job running: by then the pipe is full.
    for _ in range(2):
        await gateway.status(Heartbeat, lambda heartbeat: heartbeat.running == ("job-1",))
    results = await gateway.results()
    assert [result.index for result, _ in results] == list(range(len(results)))
    assert b"".join(payload for _, payload in results) == tone("job-1", text)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("stt.engine=nope",), "there is no stt engine nope"),
        (("stt.engine=nope",), "one of: "),
        (("stt.nope=1",), "there is no setting stt.nope"),
    ],
)
async def test_a_worker_that_cannot_start_says_why_on_one_line(
    gateway: Gateway, settings: tuple[str, ...], said: str
) -> None:
    process = await gateway.start("stt", *settings)
    _, stderr = await process.communicate()
    lines = stderr.decode().splitlines()
    assert process.returncode == 2
    assert len(lines) == 1
    assert lines[0].startswith("antiphon-worker stt: ")
    assert said in lines[0]


async def test_a_worker_that_keeps_the_interpreter_to_itself_ends_itself(gateway: Gateway) -> None:
    limits = ("simulated.step_limit_ms=1000", "simulated.hang_text=hang")
    process = await gateway.start("tts", *limits)
    jobs = await gateway.connect(await gateway.status(Heartbeat))
    assert jobs.send(codec.encode(job(Synthesize(text="Now hang.", voice=""))))
    _, errors = await process.communicate()
    assert process.returncode not in (0, 2)
    assert b"in hang" in errors


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of such a death")
async def test_a_worker_dies_with_the_supervisor_that_asked_for_it(gateway: Gateway) -> None:
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import subprocess, sys; subprocess.run(sys.argv[1:])",
        sys.executable,
        WORKER,
        "stt",
        "--exit-with-parent",
        "--set",
        f"bus.runtime_dir={gateway.runtime_dir}",
        "--set",
        "stt.engine=simulated",
    )
    gateway.processes.append(supervisor)
    heartbeat = await gateway.status(Heartbeat)
    jobs = gateway.bus.push(heartbeat.endpoint, hwm=2)
    events = jobs.watch()
    jobs.connect()
    assert await anext(events) == "connected"
    supervisor.kill()
    assert await anext(events) == "disconnected"
