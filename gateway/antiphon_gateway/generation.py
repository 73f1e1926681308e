"""What a response's settings mean for the language model. Pure."""

from antiphon_gateway.realtime.response_settings import ResponseSettings
from antiphon_gateway.realtime.session_settings import UNSET, NamedTool, RetentionRatio
from antiphon_proto.conversation import ChatMessage, Function, Truncation
from antiphon_proto.messages import (
    Generate,
    ReadPrompt,
)


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
        messages=messages,
        max_output_tokens=most_tokens if wanted == "inf" else min(wanted, most_tokens),
        temperature=temperature,
        functions=functions,
        must_call=bool(functions) and settings.tool_choice not in ("auto", "none"),
        truncation=_truncation(settings),
    )


def read_prompt(messages: tuple[ChatMessage, ...], settings: ResponseSettings) -> ReadPrompt:
    """Return the job that reads ahead what `generate` will read."""
    return ReadPrompt(
        messages=messages, functions=_functions(settings), truncation=_truncation(settings)
    )


def may_call(settings: ResponseSettings) -> bool:
    """Tell whether a response may call a function."""
    return bool(_functions(settings))


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
