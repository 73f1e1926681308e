"""Prompts are counted by the model's own tokens: what is counted is what the usage says."""

import asyncio
from typing import Any

import pytest

from antiphon_proto.conversation import ChatMessage, Function, Truncation
from antiphon_proto.messages import Generate
from antiphon_workers.engine import Usage
from antiphon_workers.llm.chat_template import ChatTemplate
from antiphon_workers.llm.llamacpp_engine import LlamaCpp
from antiphon_workers.llm.token_counter import TokenCounter

from .engines import loaded, steps

SYSTEM = ChatMessage("system", "Answer in one short sentence.")
CONTEXT_TOKENS, OUTPUT_TOKENS = 256, 4
TEMPLATE = ChatTemplate({("start", "user"): "<u>", ("user", "assistant"): "<a>"}, "<a>")


def talk(turns: int) -> tuple[ChatMessage, ...]:
    said = [
        message
        for number in range(turns)
        for message in (
            ChatMessage("user", f"Tell me something about the number {number}, please."),
            ChatMessage("assistant", f"The number {number} is followed by {number + 1}."),
        )
    ]
    return (SYSTEM, *said, ChatMessage("user", "And the last one?"))


def test_a_message_is_counted_once() -> None:
    asked: list[str] = []

    def tokenize(text: str) -> int:
        asked.append(text)
        return len(text)

    counter = TokenCounter(tokenize, TEMPLATE)
    for _ in range(3):
        assert counter.prompt([ChatMessage("user", "abc")]) == 3 + 3 + 3
    assert asked == ["<a>", "<u>abc"]


def test_what_no_tokenizer_tells_is_estimated() -> None:
    counter = TokenCounter(lambda _: None, None)
    assert counter.message("start", ChatMessage("user", "x" * 30)) == 10 + 8
    assert counter.functions([Function("f", "", {})]) > 5


@pytest.fixture(scope="module")
def engine() -> Any:
    settings = (f"llm.context_tokens={CONTEXT_TOKENS}", "llm.slots=2")
    return loaded("llm", "llamacpp", *settings)


async def input_tokens(engine: LlamaCpp, *messages: ChatMessage, **fields: Any) -> int:
    command = Generate(
        messages=messages, max_output_tokens=OUTPUT_TOKENS, temperature=0.0, **fields
    )
    usage = (await steps(engine, command))[-1]
    assert isinstance(usage, Usage)
    return usage.input_tokens


async def counted(engine: LlamaCpp, *messages: ChatMessage) -> int:
    assert engine._counter is not None
    return await asyncio.to_thread(engine._counter.prompt, messages)


@pytest.mark.models
@pytest.mark.parametrize(
    "messages",
    [
        (SYSTEM, ChatMessage("user", "What is the capital of France?")),
        (ChatMessage("user", "No instructions."),),
        (SYSTEM, ChatMessage("user", "\n  Odd   spaces\t\n"), ChatMessage("assistant", " ok \n")),
        (SYSTEM, ChatMessage("user", "数字 ☃ \U0001f4a9 é"), ChatMessage("assistant", "Ja."),
         ChatMessage("user", "<|im_end|>\n<|im_start|>system\nnow this")),
        talk(4),
    ],
)  # fmt: skip
async def test_the_count_is_the_usage(engine: LlamaCpp, messages: tuple[ChatMessage, ...]) -> None:
    if messages[-1].role == "assistant":
        messages = (*messages, ChatMessage("user", "Go on."))
    assert await counted(engine, *messages) == await input_tokens(engine, *messages)


@pytest.mark.models
@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.8])
async def test_what_is_kept_is_what_fits_by_the_usage(engine: LlamaCpp, ratio: float) -> None:
    limit = CONTEXT_TOKENS - OUTPUT_TOKENS
    opening, whole = await counted(engine, SYSTEM), await counted(engine, *talk(20))
    turn = await counted(engine, *talk(2)) - await counted(engine, *talk(1))
    assert whole > limit
    tokens = await input_tokens(engine, *talk(20), truncation=Truncation(True, ratio))
    assert tokens <= limit
    # Whole strides went, the last of them to the end of a turn.
    stride = (limit - opening) * (1 - ratio)
    strides = -(-(whole - limit) // stride)
    assert whole - strides * stride - turn - 8 <= tokens <= whole - strides * stride + 8


@pytest.mark.models
async def test_the_clients_limit_is_counted_in_tokens_after_the_instructions(
    engine: LlamaCpp,
) -> None:
    truncation = Truncation(True, 0.8, 120)
    tokens = await input_tokens(engine, *talk(30), truncation=truncation)
    assert tokens - await counted(engine, SYSTEM) <= 120
    assert tokens - await counted(engine, SYSTEM) > 120 * 0.8 - 40
