"""A request for a chat completion: what is honoured, what is ignored, what is refused. Pure."""

from typing import Annotated, Any, Literal

import msgspec

from antiphon_gateway.neighbours.refusals import unsupported
from antiphon_gateway.realtime.validation import convert
from antiphon_proto.config import Llm
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    Generate,
)

MAX_MESSAGES = 1_000
MAX_STOPS = 4
MAX_OUTPUT_TOKENS = 4_096
_ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_Stop = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Tokens = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
_MEANINGFUL = ("tools", "functions", "audio", "web_search_options", "logit_bias", "top_logprobs")
"""Fields that ask for what is not done here; empty ones ask for nothing."""


class _Part(msgspec.Struct, frozen=True):
    type: str
    text: str = ""
    refusal: str = ""


class _Message(msgspec.Struct, frozen=True):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None
    tool_calls: list[Any] = []


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


class ChatRequest(msgspec.Struct, frozen=True):
    """What is asked of the language model, and how it is to be answered."""

    command: Generate
    stops: tuple[str, ...]
    stream: bool
    include_usage: bool


def parse(raw: dict[str, Any], settings: Llm) -> ChatRequest:
    """Return the request in a decoded body.

    Raises InvalidEvent for a field that is not what it should be, RequestRefused for one that
    cannot be honoured.
    """
    body = convert(raw, _Body, "")
    _refuse_what_is_not_done(raw, body)
    messages = tuple(_message(place, each) for place, each in enumerate(body.messages))
    asked = body.max_completion_tokens or body.max_tokens
    most = max(min(MAX_OUTPUT_TOKENS, settings.context_tokens // 2), settings.max_output_tokens)
    stops = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    command = Generate(
        messages=messages,
        max_output_tokens=min(asked or settings.max_output_tokens, most),
        temperature=settings.temperature if body.temperature is None else body.temperature,
        stop=stops,
    )
    options = body.stream_options or _StreamOptions()
    return ChatRequest(command, stops, bool(body.stream), options.include_usage)


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


def _message(place: int, message: _Message) -> ChatMessage:
    at = f"messages[{place}]"
    role = _ROLES.get(message.role)
    if role is None or message.tool_calls:
        raise unsupported(at, f"{at} belongs to a tool call, which is not supported")
    if not isinstance(message.content, list):
        return ChatMessage(role, message.content or "")
    for part in message.content:
        if part.type not in ("text", "refusal"):
            raise unsupported(f"{at}.content", f"{at} holds {part.type!r}; allowed: text")
    return ChatMessage(role, "".join(part.text or part.refusal for part in message.content))
