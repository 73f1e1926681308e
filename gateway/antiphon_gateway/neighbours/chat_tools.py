"""Functions in a chat: what may be called, what was called, how it is told. Pure."""

from typing import Annotated, Any, Literal

import msgspec

from antiphon_gateway.neighbours.refusals import unsupported
from antiphon_gateway.realtime.session_settings import MAX_TOOLS, FunctionName
from antiphon_proto.conversation import Function, FunctionCall

_CallId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class OfferedFunction(msgspec.Struct, frozen=True):
    """A function of the client. `strict` has no effect: the schema is always followed."""

    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    """A JSON schema."""


class Tool(msgspec.Struct, frozen=True):
    """One entry of `tools`."""

    type: Literal["function"]
    function: OfferedFunction


class _Named(msgspec.Struct, frozen=True):
    name: FunctionName


class NamedChoice(msgspec.Struct, frozen=True):
    """The one function that must be called."""

    type: Literal["function"]
    function: _Named


Tools = Annotated[list[Tool], msgspec.Meta(max_length=MAX_TOOLS)]
Choice = Literal["none", "auto", "required"] | NamedChoice


class _Called(msgspec.Struct, frozen=True):
    name: FunctionName
    arguments: str


class ToolCall(msgspec.Struct, frozen=True):
    """An entry of an assistant message's `tool_calls`."""

    id: _CallId
    type: Literal["function"]
    function: _Called

    def as_call(self) -> FunctionCall:
        """Return the call as the language model reads it."""
        return FunctionCall(self.id, self.function.name, self.function.arguments)


def offered(tools: Tools | None, choice: Choice | None) -> tuple[tuple[Function, ...], bool]:
    """Return what may be called, and whether a call must be made. Raises RequestRefused."""
    if choice == "none" or (not tools and choice in (None, "auto")):
        return (), False
    chosen = choice.function.name if isinstance(choice, NamedChoice) else None
    functions = tuple(
        Function(each.name, each.description or "", each.parameters or {})
        for each in (tool.function for tool in tools or ())
        if chosen in (None, each.name)
    )
    if not functions:
        wanted = f"there is no tool {chosen!r}" if chosen else "there are no tools"
        raise unsupported("tool_choice", f"tool_choice: {wanted}")
    return functions, choice not in (None, "auto")


def call_json(call: FunctionCall) -> dict[str, Any]:
    """Return a call as an entry of `tool_calls`."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.call_id, "type": "function", "function": function}


def call_deltas(call: FunctionCall, index: int) -> list[dict[str, Any]]:
    """Return the deltas that tell of a call: its name, then its arguments."""
    named = call_json(msgspec.structs.replace(call, arguments=""))
    filled = {"function": {"arguments": call.arguments}}
    return [{"tool_calls": [{"index": index, **part}]} for part in (named, filled)]
