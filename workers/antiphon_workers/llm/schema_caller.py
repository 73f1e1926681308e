"""Has a server without a choice of tools call a function, by answers that fit a JSON schema."""

import json
from typing import Any, Literal, NamedTuple, Protocol

from antiphon_proto.conversation import ChatMessage, Function
from antiphon_proto.errors import JobFailed
from antiphon_proto.messages import FunctionCalled, Generate
from antiphon_workers.engine import Step, Usage
from antiphon_workers.llm import functions

_NAME_TOKENS = 64
_LEAST_ARGUMENT_TOKENS = 256


class Written(NamedTuple):
    """What a model wrote."""

    text: str
    input_tokens: int
    output_tokens: int
    is_cut: bool
    """It reached the limit of tokens."""


class Write(Protocol):
    """Has the model write what fits a schema, the most probable thing."""

    async def __call__(
        self, messages: list[ChatMessage], schema: dict[str, Any], max_tokens: int, /
    ) -> Written:
        """Write at most so many tokens."""


class Call(NamedTuple):
    """A function called, or not, and what that took."""

    called: FunctionCalled | None
    input_tokens: int
    output_tokens: int
    is_cut: bool

    @property
    def steps(self) -> list[Step]:
        """What the job yields of it; nothing when the model shall speak instead."""
        if self.called is None and not self.is_cut:
            return []
        made: list[Step] = [] if self.called is None else [(self.called, b"")]
        reason: Literal["stop", "length"] = "length" if self.is_cut else "stop"
        return [*made, Usage(self.input_tokens, self.output_tokens, reason)]


async def call(command: Generate, write: Write) -> Call:
    """Choose a function and fill in its arguments; none is called when none is asked for.

    Raises JobFailed when the model's server does not keep to the schema.
    """
    read = written = 0
    function: Function | None = command.functions[0]
    if len(command.functions) > 1 or not command.must_call:
        prompt, names = functions.choice(
            command.messages, command.functions, must_call=command.must_call
        )
        chosen = await write(prompt, {"type": "string", "enum": names}, _NAME_TOKENS)
        read, written = chosen.input_tokens, chosen.output_tokens
        by_name = {function.name: function for function in command.functions}
        function = by_name.get(
            _text(chosen.text), command.functions[0] if command.must_call else None
        )
    if function is None:
        return Call(None, read, written, False)
    if not functions.needs_arguments(function):
        return Call(FunctionCalled(name=function.name, arguments="{}"), read, written, False)
    prompt, schema = functions.arguments(command.messages, function)
    limit = max(command.max_output_tokens, _LEAST_ARGUMENT_TOKENS)
    filled = await write(prompt, schema, limit)
    read, written = read + filled.input_tokens, written + filled.output_tokens
    if functions.is_object(filled.text):
        called = FunctionCalled(name=function.name, arguments=filled.text)
        return Call(called, read, written, False)
    if filled.is_cut and filled.text.lstrip().startswith("{"):
        return Call(None, read, written, True)
    raise JobFailed(
        "invalid_function_parameters",
        f"the JSON schema of function {function.name} cannot be followed",
        retryable=False,
    )


def _text(json_text: str) -> str:
    """Return a JSON string's value; the text itself when it is none."""
    try:
        return str(json.loads(json_text))
    except ValueError:
        return json_text.strip()
