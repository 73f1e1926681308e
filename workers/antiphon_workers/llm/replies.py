"""What a server of OpenAI's form answers, llama.cpp's or another, turned into steps. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from antiphon_proto.conversation import ChatMessage
from antiphon_proto.errors import JobFailed
from antiphon_proto.messages import FunctionCalled, TextDelta, TurnEnd
from antiphon_workers.engine import Usage
from antiphon_workers.llm.context import counted
from antiphon_workers.llm.message_end import end_probability, phrase_end_probability
from antiphon_workers.threads import Emit

_OVERLONG = "exceed_context_size_error"


class Reading:
    """A prompt that is being read, and the tokens that could follow it."""

    def __init__(self, emit: Emit, has_words: bool, end_token: int | None) -> None:
        self._emit = emit
        self._has_words = has_words
        self._end_token = end_token

    def take(self, chunk: Mapping[str, Any]) -> bool:
        """Take one chunk in the form of an OpenAI completion. True stops the reading."""
        if "error" in chunk:
            return True
        if "prompt_progress" in chunk:
            return not self._emit(None)
        for choice in chunk.get("choices", ()):
            tokens = (choice.get("logprobs") or {}).get("content")
            if tokens and self._has_words:
                following = tokens[0]["top_logprobs"]
                end = TurnEnd(
                    probability=end_probability(following, self._end_token),
                    phrase_end=phrase_end_probability(following),
                )
                self._emit((end, b""))
                self._has_words = False
        return False


class Reply:
    """One streamed response: text, then the functions that the model calls."""

    def __init__(self, emit: Emit, *, skip_space: bool = False, server: str = "llama.cpp") -> None:
        self._server = server
        self.overlong_tokens = 0
        """Length of the prompt when it did not fit; nothing was generated then."""
        self.tokens_read = 0
        self.usage = Usage()
        self._emit = emit
        self._skip_space = skip_space
        self._error: Mapping[str, Any] = {}
        self._calls: dict[int, list[str]] = {}
        self._texts: list[str] = []

    def take(self, chunk: Mapping[str, Any]) -> bool:
        """Take one chunk in the form of an OpenAI chat completion. True stops the generation."""
        if error := chunk.get("error"):
            self.overlong_tokens = error.get("n_prompt_tokens", 0)
            self._error = error
            return True
        if usage := chunk.get("usage"):
            self.usage = self.usage._replace(
                input_tokens=usage["prompt_tokens"], output_tokens=usage["completion_tokens"]
            )
        if "prompt_progress" in chunk:
            return not self._emit(None)
        if timings := chunk.get("timings"):
            self.tokens_read = timings["prompt_n"]
        for choice in chunk.get("choices") or ():
            if choice.get("finish_reason") == "length":
                self.usage = self.usage._replace(finish_reason="length")
            delta = choice.get("delta") or {}
            self._take_calls(delta.get("tool_calls") or ())
            text = delta.get("content") or ""
            self._texts.append(text)
            if self._skip_space:
                text = text.lstrip()
            if text:
                self._skip_space = False
                if not self._emit((TextDelta(text=text), b"")):
                    return True
        return False

    @property
    def calls_functions(self) -> bool:
        """Whether the model has called any."""
        return bool(self._calls)

    def count(self, messages: Sequence[ChatMessage]) -> None:
        """Estimate what the server did not count of its answer to these messages."""
        calls = (part for call in self._calls.values() for part in call)
        self.usage = counted(self.usage, messages, "".join((*self._texts, *calls)))

    def end(self) -> None:
        """Emit the calls and the usage. Raises JobFailed when the server reported an error."""
        self.check()
        if self.usage.finish_reason == "stop":
            for number, (name, arguments) in enumerate(self._calls.values(), start=1):
                called = FunctionCalled(
                    name=name,
                    arguments=arguments or "{}",
                    more_follow=number < len(self._calls),
                )
                self._emit((called, b""))
        self._emit(self.usage)

    def check(self) -> None:
        """Raise JobFailed when the server reported an error."""
        if not self._error:
            return
        kind = str(self._error.get("type", "engine_error"))
        raise JobFailed(
            "context_length_exceeded" if kind == _OVERLONG else kind,
            f"{self._server} refused the job with code {self._error.get('code')}"
            + (f": {self.overlong_tokens} tokens do not fit" if self.overlong_tokens else ""),
            retryable=bool(self._error.get("retryable")),
        )

    def _take_calls(self, deltas: Iterable[Mapping[str, Any]]) -> None:
        for delta in deltas:
            call = self._calls.setdefault(delta.get("index", 0), ["", ""])
            function = delta.get("function") or {}
            call[0] += function.get("name") or ""
            call[1] += function.get("arguments") or ""
