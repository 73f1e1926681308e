"""What a response's settings and messages mean for the language model. Pure.

Servers of models read the marks of a chat template as such wherever they stand: a document or a
message that holds one could end the user's turn and speak as the system. They are broken up.
"""

import re
from collections.abc import Iterable

import msgspec

from antiphon_gateway.realtime.response_settings import ResponseSettings
from antiphon_gateway.realtime.session_settings import UNSET, NamedTool, RetentionRatio
from antiphon_proto.conversation import ChatMessage, Function, Truncation
from antiphon_proto.messages import (
    Generate,
    ReadPrompt,
)

_MARK = re.compile(
    r"<(?=[|\uff5c]|/?(?:s|start_of_turn|end_of_turn|tool_call|tool_response|think)>)"
    r"|\[(?=/?INST\])"
)
"""Where a mark of ChatML, Llama, Qwen, DeepSeek, Gemma or Mistral begins."""


def generate(
    messages: tuple[ChatMessage, ...],
    settings: ResponseSettings,
    *,
    temperature: float,
    most_tokens: int,
) -> Generate:
    """Return the job that makes a response; `most_tokens` is the server's own limit."""
    wanted = settings.max_output_tokens
    functions = _functions(settings)
    return Generate(
        messages=unmarked(messages),
        max_output_tokens=most_tokens if wanted == "inf" else min(wanted, most_tokens),
        temperature=temperature,
        functions=functions,
        must_call=bool(functions) and settings.tool_choice not in ("auto", "none"),
        truncation=_truncation(settings),
    )


def read_prompt(messages: tuple[ChatMessage, ...], settings: ResponseSettings) -> ReadPrompt:
    """Return the job that reads ahead what `generate` will read."""
    return ReadPrompt(
        messages=unmarked(messages),
        functions=_functions(settings),
        truncation=_truncation(settings),
    )


def may_call(settings: ResponseSettings) -> bool:
    """Tell whether a response may call a function."""
    return bool(_functions(settings))


def offers(settings: ResponseSettings, name: str) -> bool:
    """Tell whether a response may call this function; a model may name any other."""
    return any(function.name == name for function in _functions(settings))


def unmarked(messages: Iterable[ChatMessage]) -> tuple[ChatMessage, ...]:
    """Return the messages with a space in each mark that came from outside."""
    return tuple(
        msgspec.structs.replace(said, content=_MARK.sub(r"\g<0> ", said.content))
        if said.role in ("user", "tool") and _MARK.search(said.content)
        else said
        for said in messages
    )


def _functions(settings: ResponseSettings) -> tuple[Function, ...]:
    chosen = settings.tool_choice
    if chosen == "none":
        return ()
    return tuple(
        Function(
            tool.name,
            "" if tool.description is UNSET else tool.description,
            {} if tool.parameters is UNSET else tool.parameters,
        )
        for tool in settings.tools
        if not isinstance(chosen, NamedTool) or tool.name == chosen.name
    )


def _truncation(settings: ResponseSettings) -> Truncation:
    wanted = settings.truncation
    if not isinstance(wanted, RetentionRatio):
        return Truncation(enabled=wanted == "auto")
    limits = wanted.token_limits
    tokens = UNSET if limits is UNSET else limits.post_instructions
    return Truncation(True, wanted.retention_ratio, 0 if tokens is UNSET else tokens)
