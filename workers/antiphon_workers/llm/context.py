"""Fitting a conversation into a model's context. Pure."""

import math
from collections.abc import Sequence

from antiphon_proto.conversation import ChatMessage, Truncation
from antiphon_proto.errors import JobFailed

TOKENS_PER_BYTE = 1 / 3
"""A cautious guess for text in Latin script; English has about one token in 4.5 bytes."""
TOKENS_PER_MESSAGE = 8
"""What a chat template writes around a message."""
ANY_LENGTH = Truncation()


def size_bytes(messages: Sequence[ChatMessage]) -> int:
    """Return the bytes of text in the messages."""
    texts = [message.content for message in messages]
    texts += [call.name + call.arguments for message in messages for call in message.calls]
    return sum(len(text.encode()) for text in texts)


def estimate(messages: Sequence[ChatMessage], tokens_per_byte: float) -> int:
    """Return about how many tokens the messages are."""
    return int(size_bytes(messages) * tokens_per_byte) + TOKENS_PER_MESSAGE * len(messages)


def fit(
    messages: Sequence[ChatMessage],
    limit_tokens: int,
    tokens_per_byte: float = TOKENS_PER_BYTE,
    truncation: Truncation = ANY_LENGTH,
) -> list[ChatMessage]:
    """Drop the oldest turns of a conversation that is estimated not to fit.

    Turns go in strides of what is not retained (half the limit, unless the client says otherwise),
    counted from the start: so the prompt keeps its beginning over many turns, and the model need
    not read all of it again at each. A turn is a user message and all that follows it, calls and
    their outputs too. System messages at the start and the last turn always stay; the client's own
    limit, which does not count these system messages, can be passed by the last turn alone.
    Nothing is dropped where that is not allowed. Raises JobFailed when what must stay does not fit.
    """
    opening = next(
        (place for place, message in enumerate(messages) if message.role != "system"),
        len(messages),
    )
    system, turns = messages[:opening], messages[opening:]
    starts = [0, *(place for place, turn in enumerate(turns) if place and turn.role == "user")]
    if not truncation.enabled:
        return list(messages)
    opening_tokens = estimate(system, tokens_per_byte)
    allowed = limit_tokens - opening_tokens
    if truncation.conversation_tokens:
        allowed = min(allowed, truncation.conversation_tokens)
    stride_tokens = max(int(allowed * (1 - truncation.retention_ratio)), 1)
    wanted_tokens = 0
    for start in starts:
        kept = [*system, *turns[start:]]
        if estimate(turns[:start], tokens_per_byte) < wanted_tokens and start != starts[-1]:
            continue
        length_tokens = estimate(kept, tokens_per_byte)
        if length_tokens - opening_tokens <= allowed or (
            start == starts[-1] and length_tokens <= limit_tokens
        ):
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
