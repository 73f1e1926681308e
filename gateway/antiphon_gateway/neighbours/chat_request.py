"""A request for a chat completion: what is honoured, what is ignored, what is refused. Pure."""

from collections.abc import Set
from typing import Annotated, Any, Literal

import msgspec

from antiphon_gateway.generation import unmarked
from antiphon_gateway.neighbours.chat_tools import Choice, ToolCall, Tools, offered
from antiphon_gateway.neighbours.refusals import unsupported
from antiphon_gateway.realtime.validation import check_free_form, convert
from antiphon_proto.config import Llm
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    Generate,
)

MAX_MESSAGES = 1_000
MAX_STOPS = 4
MAX_OUTPUT_TOKENS = 4_096
_ROLES: dict[str, Literal["system", "user", "assistant", "tool"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_Stop = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Tokens = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
_MEANINGFUL = (
    "functions",
    "function_call",
    "audio",
    "web_search_options",
    "logit_bias",
    "top_logprobs",
)
"""Fields that ask for what is not done here; empty ones ask for nothing."""


class _Part(msgspec.Struct, frozen=True):
    type: str
    text: str = ""
    refusal: str = ""


class _Message(msgspec.Struct, frozen=True):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str = ""


class _StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False


class _ResponseFormat(msgspec.Struct, frozen=True):
    type: str = "text"


class _Body(msgspec.Struct, frozen=True):
    messages: Annotated[list[_Message], msgspec.Meta(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = False
    stream_options: _StreamOptions | None = None
    max_tokens: _Tokens | None = None
    max_completion_tokens: _Tokens | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0.0, le=2.0)] | None = None
    stop: _Stop | Annotated[list[_Stop], msgspec.Meta(max_length=MAX_STOPS)] | None = None
    n: int | None = 1
    logprobs: bool | None = False
    response_format: _ResponseFormat | None = None
    modalities: list[str] | None = None
    tools: Tools | None = None
    tool_choice: Choice | None = None
    parallel_tool_calls: bool | None = True


class ChatRequest(msgspec.Struct, frozen=True):
    """What is asked of the language model, and how it is to be answered."""

    command: Generate
    stops: tuple[str, ...]
    stream: bool
    include_usage: bool
    one_call: bool
    """At most one function is called."""


def parse(raw: dict[str, Any], settings: Llm) -> ChatRequest:
    """Return the request in a decoded body.

    Raises InvalidEvent for a field that is not what it should be, RequestRefused for one that
    cannot be honoured.
    """
    check_free_form(raw.get("tools"), "tools")
    body = convert(raw, _Body, "")
    _refuse_what_is_not_done(raw, body)
    functions, must_call = offered(body.tools, body.tool_choice)
    calls: set[str] = set()
    messages: list[ChatMessage] = []
    for place, each in enumerate(body.messages):
        messages.append(_message(f"messages[{place}]", each, calls))
        calls |= {call.call_id for call in messages[-1].calls}
    asked = body.max_completion_tokens or body.max_tokens
    most = max(min(MAX_OUTPUT_TOKENS, settings.context_tokens // 2), settings.max_output_tokens)
    stops = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    command = Generate(
        messages=unmarked(messages),
        max_output_tokens=min(asked or settings.max_output_tokens, most),
        temperature=settings.temperature if body.temperature is None else body.temperature,
        stop=stops,
        functions=functions,
        must_call=must_call,
    )
    options = body.stream_options or _StreamOptions()
    one_call = body.parallel_tool_calls is False
    return ChatRequest(command, stops, bool(body.stream), options.include_usage, one_call)


def _refuse_what_is_not_done(raw: dict[str, Any], body: _Body) -> None:
    for name in _MEANINGFUL:
        if raw.get(name):
            raise unsupported(name, f"{name} is not supported")
    if body.n not in (1, None):
        raise unsupported("n", f"n is {body.n}; one choice is made")
    if body.logprobs:
        raise unsupported("logprobs", "logprobs are not known")
    if body.response_format is not None and body.response_format.type != "text":
        text = f"response_format.type is {body.response_format.type!r}; allowed: text"
        raise unsupported("response_format.type", text)
    if "audio" in (body.modalities or ()):
        raise unsupported("modalities", "modalities holds audio; use /v1/realtime")


def _message(at: str, message: _Message, calls: Set[str]) -> ChatMessage:
    """Return a message; `calls` are the ids of the calls before it."""
    role = _ROLES.get(message.role)
    if role is None:
        raise unsupported(f"{at}.role", f"{at}.role is {message.role!r}; use tool")
    if role == "tool" and message.tool_call_id not in calls:
        name = f"{at}.tool_call_id"
        raise unsupported(name, f"{name} {message.tool_call_id!r} is of no call before it")
    if message.tool_calls and role != "assistant":
        raise unsupported(f"{at}.tool_calls", f"{at}: only the assistant has tool_calls")
    made = tuple(call.as_call() for call in message.tool_calls or ())
    return ChatMessage(role, _text(at, message), made, message.tool_call_id)


def _text(at: str, message: _Message) -> str:
    if not isinstance(message.content, list):
        return message.content or ""
    for part in message.content:
        if part.type not in ("text", "refusal"):
            raise unsupported(f"{at}.content", f"{at} holds {part.type!r}; allowed: text")
    return "".join(part.text or part.refusal for part in message.content)
