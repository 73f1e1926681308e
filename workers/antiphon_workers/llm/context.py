"""Fitting a conversation into a model's context. Pure."""

import itertools
import math
from collections.abc import Callable, Sequence

from antiphon_proto.conversation import ChatMessage, Truncation
from antiphon_proto.errors import JobFailed
from antiphon_workers.engine import Usage

TOKENS_PER_BYTE = 1 / 3
"""A cautious guess for text in Latin script; English has about one token in 4.5 bytes."""
_LIKELY_TOKENS_PER_BYTE = 1 / 4.5
"""What is told where nobody counted: there too much is as wrong as too little."""
TOKENS_PER_MESSAGE = 8
"""What a chat template writes around a message."""
ANY_LENGTH = Truncation()
START = "start"
"""What stands in place of a role before the first message."""
Count = Callable[[str, ChatMessage], float]
"""Tokens of a message, with what the template writes between it and one of the role before it."""


def size_bytes(messages: Sequence[ChatMessage]) -> int:
    """Return the bytes of text in the messages."""
    texts = [message.content for message in messages]
    texts += [call.name + call.arguments for message in messages for call in message.calls]
    return sum(len(text.encode()) for text in texts)


def estimate(messages: Sequence[ChatMessage], tokens_per_byte: float) -> int:
    """Return about how many tokens the messages are."""
    return int(size_bytes(messages) * tokens_per_byte) + TOKENS_PER_MESSAGE * len(messages)


def counted(usage: Usage, messages: Sequence[ChatMessage], written: str) -> Usage:
    """Return the usage of an answer, estimated as far as its server did not count."""
    read_tokens = usage.input_tokens or estimate(messages, _LIKELY_TOKENS_PER_BYTE)
    written_tokens = usage.output_tokens or math.ceil(
        len(written.encode()) * _LIKELY_TOKENS_PER_BYTE
    )
    return usage._replace(input_tokens=read_tokens, output_tokens=written_tokens)


def fit(
    messages: Sequence[ChatMessage],
    limit_tokens: int,
    tokens_per_byte: float = TOKENS_PER_BYTE,
    truncation: Truncation = ANY_LENGTH,
    count: Count | None = None,
) -> list[ChatMessage]:
    """Drop the oldest turns of a conversation that does not fit, as `count` says or the estimate.

    Turns go in strides of what is not retained (half the limit, unless the client says otherwise),
    counted from the start: so the prompt keeps its beginning over many turns, and the model need
    not read all of it again at each. A turn is a user message and all that follows it, calls and
    their outputs too. System messages at the start and the last turn always stay; the client's own
    limit, which does not count these system messages, can be passed by the last turn alone.
    Nothing is dropped where that is not allowed. Raises JobFailed when what must stay does not fit.
    """
    if not truncation.enabled:
        return list(messages)
    count = count or _estimated(tokens_per_byte)
    opening = next(
        (place for place, message in enumerate(messages) if message.role != "system"),
        len(messages),
    )
    system, turns = messages[:opening], messages[opening:]
    starts = [0, *(place for place, turn in enumerate(turns) if place and turn.role == "user")]
    roles = [START, *(message.role for message in messages)]
    tokens = [count(before, message) for before, message in zip(roles, messages, strict=False)]
    opening_tokens = sum(tokens[:opening])
    until = [0.0, *itertools.accumulate(tokens[opening:])]
    """Tokens of the turns before each place."""
    allowed = limit_tokens - opening_tokens
    if truncation.conversation_tokens:
        allowed = min(allowed, truncation.conversation_tokens)
    stride_tokens = max(int(allowed * (1 - truncation.retention_ratio)), 1)
    wanted_tokens = length_tokens = 0.0
    for start in starts:
        if until[start] < wanted_tokens and start != starts[-1]:
            continue
        length_tokens = until[-1] - until[start]
        if start:
            # The message stands behind another one now.
            length_tokens += count(roles[opening], turns[start]) - tokens[opening + start]
        if length_tokens <= allowed or (
            start == starts[-1] and length_tokens + opening_tokens <= limit_tokens
        ):
            return [*system, *turns[start:]]
        wanted_tokens += stride_tokens
    raise JobFailed(
        "context_length_exceeded",
        f"system prompt and last message are about {opening_tokens + length_tokens:.0f} tokens, "
        f"over the limit of {limit_tokens} (llm.context_tokens less the answer)",
        retryable=False,
    )


def _estimated(tokens_per_byte: float) -> Count:
    def count(_: str, message: ChatMessage) -> float:
        return size_bytes([message]) * tokens_per_byte + TOKENS_PER_MESSAGE

    return count


def tokens_per_byte_seen(messages: Sequence[ChatMessage], tokens: int) -> float:
    """Return a cautious ratio for messages known to be `tokens` long, in steps of the guess.

    The steps keep `fit` from cutting a growing conversation elsewhere at each turn.
    """
    return math.ceil(tokens / max(size_bytes(messages), 1) / TOKENS_PER_BYTE) * TOKENS_PER_BYTE
