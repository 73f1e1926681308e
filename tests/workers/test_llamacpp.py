"""The embedded language model: streaming, continuing, cancelling, long conversations."""

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from antiphon_proto.conversation import ChatMessage
from antiphon_proto.errors import JobFailed
from antiphon_proto.messages import (
    Generate,
    ReadPrompt,
    TextDelta,
    TurnEnd,
)
from antiphon_workers.engine import Engine, Usage
from antiphon_workers.llm.llamacpp_engine import LlamaCpp

from .engines import job, loaded, steps

pytestmark = pytest.mark.models

SYSTEM = ChatMessage("system", "You are a helpful assistant. Answer in one short sentence.")
CAPITAL = ChatMessage("user", "What is the capital of France?")
STORY = ChatMessage("user", "Tell me a very long story about a dragon.")


@pytest.fixture
def engine() -> Engine:
    return loaded("llm", "llamacpp", "llm.context_tokens=512", "llm.slots=2")


def generate(*messages: ChatMessage, tokens: int = 40) -> Generate:
    return Generate(messages=(SYSTEM, *messages), max_output_tokens=tokens, temperature=0.0)


async def reply(engine: Engine, command: Generate) -> tuple[list[str], Usage]:
    *deltas, usage = await steps(engine, command)
    assert isinstance(usage, Usage)
    texts = [
        step[0].text
        for step in deltas
        if isinstance(step, tuple) and isinstance(step[0], TextDelta)
    ]
    return texts, usage


async def end_probability(engine: Engine, *messages: ChatMessage) -> float | None:
    made = await steps(engine, ReadPrompt(messages=(SYSTEM, *messages)))
    ends = [
        step[0].probability
        for step in made
        if isinstance(step, tuple) and isinstance(step[0], TurnEnd)
    ]
    assert len(ends) <= 1
    return ends[0] if ends else None


def cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


async def test_an_answer_streams_and_is_counted(engine: Engine) -> None:
    texts, usage = await reply(engine, generate(CAPITAL))
    assert "Paris" in "".join(texts)
    assert len(texts) > 3
    assert usage.finish_reason == "stop"
    assert usage.input_tokens > 10
    assert len(texts) <= usage.output_tokens <= 40


async def test_an_answer_is_cut_at_the_token_limit(engine: Engine) -> None:
    _, usage = await reply(engine, generate(STORY, tokens=5))
    assert usage == usage._replace(output_tokens=5, finish_reason="length")


@pytest.mark.parametrize("begun", ["The capital of France", "The capital of France "])
async def test_a_begun_answer_is_continued(engine: Engine, begun: str) -> None:
    texts, _ = await reply(engine, generate(CAPITAL, ChatMessage("assistant", begun)))
    continued = "".join(texts)
    assert continued.strip().startswith("is Paris")
    assert continued.startswith(" ") is not begun.endswith(" ")


async def test_a_conversation_of_any_length_is_answered(engine: Engine) -> None:
    turns = [
        message
        for number in range(40)
        for message in (
            ChatMessage("user", f"Tell me something about the number {number}, please."),
            ChatMessage("assistant", f"The number {number} is followed by {number + 1}."),
        )
    ]
    texts, usage = await reply(engine, generate(*turns, CAPITAL, tokens=20))
    assert texts
    assert usage.input_tokens + usage.output_tokens <= 512


async def test_script_with_many_tokens_a_byte_is_answered_too(engine: Engine) -> None:
    turns = [ChatMessage("user", "\N{PILE OF POO}\N{SNOWMAN}" * 10) for _ in range(20)]
    texts, usage = await reply(engine, generate(*turns, CAPITAL, tokens=20))
    assert texts
    assert usage.input_tokens + usage.output_tokens <= 512


async def test_a_message_longer_than_the_context_is_refused(engine: Engine) -> None:
    with pytest.raises(JobFailed) as caught:
        await reply(engine, generate(ChatMessage("user", "word " * 2_000)))
    assert caught.value.code == "context_length_exceeded"


async def test_a_complete_question_has_probably_ended_and_a_cut_one_has_not(
    engine: Engine,
) -> None:
    whole = await end_probability(engine, CAPITAL)
    cut = await end_probability(engine, ChatMessage("user", "What is the capital"))
    assert whole is not None
    assert cut is not None
    assert cut < 0.1 < whole <= 1.0


async def test_a_message_without_words_is_read_and_not_judged(engine: Engine) -> None:
    assert await end_probability(engine, ChatMessage("user", "")) is None


async def test_a_prompt_over_the_limit_is_refused(engine: Engine) -> None:
    with pytest.raises(JobFailed):
        await end_probability(engine, ChatMessage("user", "word " * 2_000))


async def test_an_answer_reads_only_what_was_not_read_ahead(engine: Engine) -> None:
    assert isinstance(engine, LlamaCpp)
    story = ChatMessage("assistant", "Once upon a time there was a dragon. " * 8)
    said = (STORY, story, ChatMessage("user", "How long ago was"))
    asked = (STORY, story, ChatMessage("user", "How long ago was that?"))
    await end_probability(engine, *said)
    await reply(engine, generate(*asked, tokens=3))
    assert 0 < engine.tokens_read <= 10
    async with aclosing(engine.run(job(generate(*asked, tokens=100)), b"")) as running:
        async for step in running:
            if step is not None:
                break
    await reply(engine, generate(*asked[:-1], ChatMessage("user", "How long ago?"), tokens=3))
    assert 0 < engine.tokens_read <= 12


async def test_a_long_conversation_is_read_ahead_as_it_will_be_answered(engine: Engine) -> None:
    assert isinstance(engine, LlamaCpp)
    story = ChatMessage("assistant", "Once upon a time there was a dragon. " * 12)
    said = (STORY, story, STORY, story, STORY, story, ChatMessage("user", "How long ago was that"))
    await end_probability(engine, *said)
    await reply(engine, generate(*said, tokens=200))
    assert 0 < engine.tokens_read <= 10


async def test_a_cancelled_answer_stops_being_generated(engine: Engine) -> None:
    async with aclosing(engine.run(job(generate(STORY, tokens=400)), b"")) as running:
        for _ in range(3):
            await anext(running)
    before = cpu_seconds()
    await asyncio.sleep(1.0)
    # Generation would keep both threads busy for all of this second.
    assert cpu_seconds() - before < 0.5


def test_no_tcp_port_is_open(engine: Engine) -> None:
    own = {os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()}
    listening = {
        f"socket:[{fields[9]}]"
        for table in ("tcp", "tcp6")
        for fields in (
            line.split() for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
        )
        if fields[3] == "0A"
    }
    assert not own & listening
