"""The wire between processes: every message survives it, nothing else gets through."""

import msgspec
import pytest

from antiphon_proto import codec
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.errors import MalformedMessage
from antiphon_proto.messages import (
    AudioDelta,
    CancelJobs,
    Command,
    Done,
    Failed,
    Finished,
    Generate,
    Goodbye,
    Heartbeat,
    Job,
    Loading,
    Refused,
    Result,
    ResultBody,
    SpokenWord,
    Status,
    Synthesize,
    TextDelta,
    Transcribe,
    Transcript,
)

COMMANDS: list[Command] = [
    Transcribe(final=True, language="en"),
    Generate(messages=(ChatMessage("user", "hi"),), max_output_tokens=10, temperature=0.5),
    Synthesize(text="hello", voice="joe"),
]
BODIES: list[ResultBody] = [
    Transcript(text="hi"),
    TextDelta(text="h"),
    AudioDelta(
        sample_rate_hz=22050,
        words=(SpokenWord(end_character=5, end_sample=900, pause_samples=20),),
    ),
    Done(engine_ms=1.5, finish_reason="length"),
    Failed(code="x", message="y", retryable=True),
]
STATUSES: list[Status] = [
    Loading(worker_id="stt-0", stage="stt", engine="e", model="m", elapsed_ms=3),
    Heartbeat(worker_id="stt-0", incarnation="a", stage="stt", endpoint="ipc://x", slots=1,
              engine="e", model="m", pid=7, running=("j1",)),
    Finished(worker_id="stt-0", incarnation="a", job_id="j", attempt=1),
    Refused(worker_id="stt-0", incarnation="a", job_id="j", attempt=1, reason="busy"),
    Goodbye(worker_id="stt-0", incarnation="a"),
]  # fmt: skip


def job(command: Command) -> Job:
    return Job(job_id="j", session_id="s", turn_id=1, revision=2, attempt=1, reply_to="gateway-0",
               budget_ms=100, command=command)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_jobs_survive_the_wire(command: Command) -> None:
    frames = list(codec.encode(job(command), b"pcm"))
    assert codec.jobs.decode(frames) == (job(command), b"pcm")


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_results_survive_the_wire(body: ResultBody) -> None:
    result = Result(job_id="j", session_id="s", turn_id=1, revision=0, attempt=1, index=4,
                    body=body)  # fmt: skip
    assert codec.results.decode(list(codec.encode(result))) == (result, b"")


@pytest.mark.parametrize("status", STATUSES, ids=lambda status: type(status).__name__)
def test_statuses_survive_the_wire(status: Status) -> None:
    assert codec.status.decode(list(codec.encode(status))) == (status, b"")


def test_control_survives_the_wire() -> None:
    cancel = CancelJobs(job_ids=("a", "b"))
    assert codec.control.decode(list(codec.encode(cancel))) == (cancel, b"")


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b"\x01"],
        [b"", b""],
        [b"\x02\x90", b""],
        [b"\x01\xc1", b""],
        [b"\x01" + b"\x91" * 5000, b""],
        [b"\x01" + msgspec.msgpack.encode(["job", "too short"]), b""],
        list(codec.encode(CancelJobs(job_ids=()))),
        [b"\x80\x04\x95\x00", b"pickle"],  # how one begins: refused, never loaded
    ],
)
def test_anything_else_is_malformed(frames: list[bytes]) -> None:
    with pytest.raises(MalformedMessage):
        codec.jobs.decode(frames)
