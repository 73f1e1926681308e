"""Fitting a conversation into a model's context. Pure."""

import math
from collections.abc import Sequence

from antiphon_proto.errors import JobFailed
from antiphon_proto.messages import ChatMessage

TOKENS_PER_BYTE = 1 / 3
"""A cautious guess for text in Latin script; English has about one token in 4.5 bytes."""
TOKENS_PER_MESSAGE = 8
"""What a chat template writes around a message."""


def size_bytes(messages: Sequence[ChatMessage]) -> int:
    """Return the bytes of text in the messages."""
    return sum(len(message.content.encode()) for message in messages)


def estimate(messages: Sequence[ChatMessage], tokens_per_byte: float) -> int:
    """Return about how many tokens the messages are."""
    return int(size_bytes(messages) * tokens_per_byte) + TOKENS_PER_MESSAGE * len(messages)


def fit(
    messages: Sequence[ChatMessage], limit_tokens: int, tokens_per_byte: float = TOKENS_PER_BYTE
) -> list[ChatMessage]:
    """Drop the oldest turns of a conversation that is estimated not to fit.

    Turns go in strides of half the limit, counted from the start: so the prompt keeps its beginning
    over many turns, and the model need not read all of it again at each. System messages at the
    start, the last user message and what follows it always stay.
    Raises JobFailed when these alone do not fit.
    """
    opening = next(
        (place for place, message in enumerate(messages) if message.role != "system"),
        len(messages),
    )
    system, turns = messages[:opening], messages[opening:]
    starts = [0, *(place for place, turn in enumerate(turns) if place and turn.role == "user")]
    stride_tokens = max(limit_tokens // 2, 1)
    wanted_tokens = 0
    for start in starts:
        kept = [*system, *turns[start:]]
        if estimate(turns[:start], tokens_per_byte) < wanted_tokens and start != starts[-1]:
            continue
        if estimate(kept, tokens_per_byte) <= limit_tokens:
            return kept
        wanted_tokens += stride_tokens
    raise JobFailed(
        "context_length_exceeded",
        f"system prompt and last message are about {estimate(kept, tokens_per_byte)} tokens, "
        f"over the limit of {limit_tokens} (llm.context_tokens less the answer)",
        retryable=False,
    )


def tokens_per_byte_seen(messages: Sequence[ChatMessage], tokens: int) -> float:
    """Return a cautious ratio for messages known to be `tokens` long, in steps of the guess.

    The steps keep `fit` from cutting a growing conversation elsewhere at each turn.
    """
    return math.ceil(tokens / max(size_bytes(messages), 1) / TOKENS_PER_BYTE) * TOKENS_PER_BYTE
