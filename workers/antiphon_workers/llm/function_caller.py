"""Has a model choose a function and fill in its arguments, whatever its chat template knows."""

from typing import Protocol

from antiphon_proto.conversation import ChatMessage, Function
from antiphon_proto.errors import JobFailed
from antiphon_proto.messages import (
    FunctionCalled,
    Generate,
    TextDelta,
)
from antiphon_workers.engine import Step, Usage
from antiphon_workers.llm import functions
from antiphon_workers.llm.replies import Reply
from antiphon_workers.threads import Emit

_NAME_TOKENS = 64
_LEAST_ARGUMENT_TOKENS = 256
_REFUSED_GRAMMAR = "invalid_request_error"


class Ask(Protocol):
    """Has the model write what fits a grammar."""

    def __call__(
        self, messages: list[ChatMessage], grammar: str, max_tokens: int, emit: Emit, /
    ) -> Reply:
        """Write at most so many tokens."""


class FunctionCaller:
    """One call at most."""

    def __init__(self, ask: Ask, emit: Emit) -> None:
        self._ask = ask
        self._emit = emit
        self._usage = Usage()
        self._wanted = True

    def call(self, command: Generate) -> bool:
        """Emit the call and the usage, if one is made; tell whether the job is over.

        Raises JobFailed when the schema cannot be followed.
        """
        function = self._choose(command)
        if not self._wanted:
            return True
        if function is None:
            return False
        arguments: str | None = "{}"
        if functions.needs_arguments(function):
            arguments = self._arguments(command, function)
        if arguments is not None:
            self._emit((FunctionCalled(name=function.name, arguments=arguments), b""))
        self._emit(self._usage)
        return True

    def _choose(self, command: Generate) -> Function | None:
        by_name = {function.name: function for function in command.functions}
        if command.must_call and len(by_name) == 1:
            return command.functions[0]
        prompt, names = functions.choice(
            command.messages, command.functions, must_call=command.must_call
        )
        name = self._write(prompt, functions.names_grammar(names), _NAME_TOKENS)
        return by_name.get(name, command.functions[0] if command.must_call else None)

    def _arguments(self, command: Generate, function: Function) -> str | None:
        """Return the arguments; None when they are too long."""
        prompt, schema = functions.arguments(command.messages, function)
        limit = max(command.max_output_tokens, _LEAST_ARGUMENT_TOKENS)
        try:
            text = self._write(prompt, functions.object_grammar(schema), limit)
        except JobFailed as exc:
            if exc.code != _REFUSED_GRAMMAR:
                raise
            raise _not_followed(function) from exc
        if not self._wanted:
            return None
        if not functions.is_object(text):
            if text.startswith("{") and self._usage.finish_reason == "length":
                return None
            raise _not_followed(function)
        return text

    def _write(self, prompt: list[ChatMessage], grammar: str, max_tokens: int) -> str:
        texts: list[str] = []

        def collect(step: Step) -> bool:
            if isinstance(step, tuple) and isinstance(step[0], TextDelta):
                texts.append(step[0].text)
            self._wanted = self._emit(None) and self._wanted
            return self._wanted

        reply = self._ask(prompt, grammar, max_tokens, collect)
        reply.check()
        self._usage = Usage(
            self._usage.input_tokens + reply.usage.input_tokens,
            self._usage.output_tokens + reply.usage.output_tokens,
            reply.usage.finish_reason,
        )
        return "".join(texts)


def _not_followed(function: Function) -> JobFailed:
    return JobFailed(
        "invalid_function_parameters",
        f"the JSON schema of function {function.name} cannot be followed",
        retryable=False,
    )
