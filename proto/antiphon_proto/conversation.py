"""The conversation as a language model reads it: parts of the messages of `messages`."""

from typing import Any, Literal

import msgspec


class FunctionCall(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A call of one of the client's functions that the assistant made earlier."""

    call_id: str
    name: str
    arguments: str
    """A JSON object as text."""


class ChatMessage(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One message of the conversation as a language model sees it."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    calls: tuple[FunctionCall, ...] = ()
    """Of the assistant: what it called. Each is answered by a `tool` message further on."""
    call_id: str = ""
    """Of a `tool` message: the call whose output it is."""


class Function(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A function of the client that the model may call."""

    name: str
    description: str
    parameters: dict[str, Any]
    """A JSON schema; empty: no arguments."""


class Truncation(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What happens to a conversation that is longer than the model may read."""

    enabled: bool = True
    """False: the job fails with `context_length_exceeded`."""
    retention_ratio: float = 0.5
    """How much of the limit stays when turns must go; the rest goes at once, so that the prompt
    keeps its beginning over many turns."""
    conversation_tokens: int = 0
    """Limit of what follows the instructions, the functions included; 0: what the context holds."""
