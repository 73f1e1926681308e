"""Which jobs a worker takes."""

import pytest

from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    Command,
    Generate,
    Job,
    Stage,
    Synthesize,
    Transcribe,
)
from antiphon_workers.admission import fault


def job(command: Command, reply_to: str = "gateway-0") -> Job:
    return Job(
        job_id="job",
        session_id="session",
        turn_id=1,
        revision=0,
        attempt=1,
        reply_to=reply_to,
        budget_ms=1_000,
        command=command,
    )


def generate(*contents: str, tokens: int = 10, temperature: float = 0.5) -> Generate:
    messages = tuple(ChatMessage("user", content) for content in contents)
    return Generate(messages=messages, max_output_tokens=tokens, temperature=temperature)


@pytest.mark.parametrize(
    ("stage", "command", "payload"),
    [
        ("stt", Transcribe(final=False), b""),
        ("stt", Transcribe(final=True), bytes(640)),
        ("llm", generate("hello"), b""),
        ("tts", Synthesize(text="", voice=""), b""),
        ("tts", Synthesize(text="hello", voice="joe", speed=4.0), b""),
    ],
)
def test_a_sound_job_has_no_fault(stage: Stage, command: Command, payload: bytes) -> None:
    assert fault(job(command), payload, stage=stage, gateways=["gateway-0"]) is None


@pytest.mark.parametrize(
    ("stage", "command", "payload", "named"),
    [
        ("stt", generate("hello"), b"", "command is Generate, not Transcribe"),
        ("stt", Transcribe(final=True), b"\x00", "payload is 1 bytes"),
        ("llm", generate("hello"), b"\x00\x00", "payload is 2 bytes"),
        ("llm", generate(), b"", "messages is empty"),
        ("llm", generate("hello", tokens=0), b"", "max_output_tokens is 0"),
        ("llm", generate("hello", temperature=2.5), b"", "temperature is 2.5"),
        ("llm", generate("hello", temperature=float("nan")), b"", "temperature is nan"),
        ("tts", Synthesize(text="hello", voice="", speed=0.0), b"", "speed is 0.0"),
        ("tts", Synthesize(text="hello", voice="", speed=float("nan")), b"", "speed is nan"),
    ],
)
def test_a_malformed_job_is_named_by_field(
    stage: Stage, command: Command, payload: bytes, named: str
) -> None:
    found = fault(job(command), payload, stage=stage, gateways=["gateway-0"])
    assert found is not None
    assert named in found


def test_a_job_of_an_unknown_gateway_is_malformed() -> None:
    sent = job(Transcribe(final=True), reply_to="tcp://198.51.100.7:5555")
    found = fault(sent, b"", stage="stt", gateways=["gateway-0"])
    assert found is not None
    assert "reply_to" in found
