"""What a response's settings and messages mean for the language model. Pure.

Servers of models read the marks of a chat template as such wherever they stand: a document, a
message, or an answer that was talked into it and is read again with the next message, could end its
turn and speak as the system. They are broken up. The instructions are the owner's.
"""

from collections.abc import Iterable

import msgspec

from antiphon_gateway.realtime.response_settings import ResponseSettings
from antiphon_gateway.realtime.session_settings import UNSET, NamedTool, RetentionRatio
from antiphon_proto.conversation import ChatMessage, Function, Truncation
from antiphon_proto.messages import (
    Generate,
    ReadPrompt,
)

_BOUNDARIES = (
    *("<|", "<\uff5c", "<turn|", "<start_of_", "<end_of_", "<s>", "</s>"),
    *("<<SYS", "<</SYS", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
)
"""Marks between messages, or how they begin: of ChatML, Llama, Qwen, DeepSeek, Gemma, Mistral."""
_MARKS = (
    *_BOUNDARIES,
    *("<think>", "</think>", "<tool_", "</tool_"),
    *("[TOOL_", "[/TOOL_", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
)
"""With those within a message, which an assistant's may hold."""


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
    """Return the messages with a space in each mark that is not in the instructions."""
    return tuple(said if said.role == "system" else _unmarked(said) for said in messages)


def _unmarked(said: ChatMessage) -> ChatMessage:
    marks = _BOUNDARIES if said.role == "assistant" else _MARKS
    calls = tuple(
        msgspec.structs.replace(call, arguments=_broken(call.arguments, marks))
        for call in said.calls
    )
    return ChatMessage(said.role, _broken(said.content, marks), calls, said.call_id)


def _broken(text: str, marks: tuple[str, ...]) -> str:
    # The event loop waits while a whole conversation is searched. Of 460,000 characters this takes
    # 11 ms at worst and a regular expression 40; of as many without `<` and `[`, 0.01 and 4.
    if "<" in text or "[" in text:
        for mark in marks:
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text


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
