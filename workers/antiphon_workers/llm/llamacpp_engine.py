"""llama.cpp inside the worker process, through xllamacpp's server and its direct calls."""

import functools
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any

import xllamacpp

from antiphon_proto import models
from antiphon_proto.config import Config
from antiphon_proto.errors import JobFailed, StartupError
from antiphon_proto.messages import (
    ChatMessage,
    Generate,
    Job,
    ReadPrompt,
    TextDelta,
    TurnEnd,
)
from antiphon_workers.engine import Engine, Step, Usage
from antiphon_workers.llm import chat_template, requantized
from antiphon_workers.llm.chat_template import ChatTemplate
from antiphon_workers.llm.context import fit, tokens_per_byte_seen
from antiphon_workers.llm.message_end import CANDIDATES, end_probability, without_end_mark
from antiphon_workers.llm.session_order import SessionOrder
from antiphon_workers.llm.template_probe import TemplateProbe
from antiphon_workers.threads import Emit, steps_from_callback

_SILENT = -1
_CACHE_MIB = 256
"""Prompts of sessions that lost their slot, kept in memory."""
_REPEAT_WINDOW_TOKENS = 256
_MANIFEST_FILE = "model.gguf"


class LlamaCpp(Engine):
    """A GGUF model; its slots share one batch, and each keeps the prompt it served last."""

    stage = "llm"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._server: xllamacpp.Server | None = None
        self._executor = ThreadPoolExecutor(self.slots, thread_name_prefix="llamacpp")
        self._order = SessionOrder()
        self._template: ChatTemplate | None = None
        self._end_token: int | None = None
        self.tokens_read = 0
        """Tokens of the last answer's prompt that were not in the cache."""

    def load(self) -> None:
        """Load the model and read the default instructions into its cache.

        Raises StartupError when the model is not installed or not a GGUF model.
        """
        path = model_file(self.config)
        # The server insists on listening. Its socket's directory goes away after two questions.
        with tempfile.TemporaryDirectory(prefix="antiphon-llm-") as directory:
            try:
                self._server = xllamacpp.Server(self._parameters(path, f"{directory}/http.sock"))
            except RuntimeError as exc:
                raise StartupError(
                    f"llama.cpp cannot load {path} ({exc}); check it with: antiphon doctor --deep"
                ) from exc
            self._learn_template(TemplateProbe(f"{directory}/http.sock"))
        greeting = (ChatMessage("system", self.config.llm.instructions), ChatMessage("user", "Hi"))
        self._complete(
            Generate(messages=greeting, max_output_tokens=1, temperature=0.0), lambda _: True
        )

    async def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield the response's text as it is generated, or how probably the message has ended."""
        command = job.command
        work: Callable[[Emit], None]
        if isinstance(command, Generate):
            work = functools.partial(self._complete, command)
        elif isinstance(command, ReadPrompt):
            work = functools.partial(self._read, command)
        else:
            raise TypeError(f"{type(command).__name__} is no command of a language model")
        async with (
            self._order.turn(job.session_id),
            aclosing(steps_from_callback(self._executor, work)) as steps,
        ):
            async for step in steps:
                yield step

    def close(self) -> None:
        """Stop the server's threads."""
        self._executor.shutdown(cancel_futures=True)
        self._server = None

    def _parameters(self, path: Path, socket: str) -> "xllamacpp.CommonParams":
        settings = self.config.llm
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.hostnames = [socket]
        parameters.n_threads_http = 1
        parameters.ui = False
        parameters.verbosity = _SILENT
        parameters.n_parallel = self.slots
        parameters.n_ctx = settings.context_tokens * self.slots
        parameters.cache_ram_mib = _CACHE_MIB
        parameters.n_batch = parameters.n_ubatch = settings.batch_tokens
        parameters.cpuparams.n_threads = settings.generation_threads
        parameters.cpuparams_batch.n_threads = settings.threads
        for threads in (parameters.cpuparams, parameters.cpuparams_batch):
            # Polling threads would keep a core busy between tokens.
            threads.poll = 0
        return parameters

    def _prompt_limit(self, max_output_tokens: int) -> int:
        context_tokens = self.config.llm.context_tokens
        return max(context_tokens - max_output_tokens, context_tokens // 2)

    def _learn_template(self, probe: TemplateProbe) -> None:
        self._template = chat_template.learn(probe.render)
        if self._template is not None:
            self._end_token = probe.first_token(self._template.closing)

    def _read(self, command: ReadPrompt, emit: Emit) -> None:
        """Read the conversation into the cache; emit how probably its last message has ended.

        Nothing is read that would not fit, or of a model whose template could not be learned.
        """
        assert self._server is not None
        # Cut as for the answer to come, whose prompt must begin with this one.
        *before, last = fit(command.messages, self._prompt_limit(self.config.llm.max_output_tokens))
        words = without_end_mark(last.content)
        prompt = self._template and self._template.open_prompt(
            [*before, ChatMessage(last.role, words)]
        )
        if not prompt:
            return
        request = {
            "prompt": prompt,
            "max_tokens": 1,
            "n_probs": CANDIDATES,
            "temperature": 0.0,
            "stream": True,
            "return_progress": True,
        }
        self._server.handle_completions(request, _Reading(emit, bool(words), self._end_token).take)

    def _complete(self, command: Generate, emit: Emit) -> None:
        """Generate, dropping more of the conversation when it proves longer than estimated."""
        limit = self._prompt_limit(command.max_output_tokens)
        messages = fit(command.messages, limit)
        reply = self._call(command, messages, emit)
        if reply.overlong_tokens:
            messages = fit(
                command.messages, limit, tokens_per_byte_seen(messages, reply.overlong_tokens)
            )
            reply = self._call(command, messages, emit)
        reply.end()

    def _call(self, command: Generate, messages: list[ChatMessage], emit: Emit) -> "_Reply":
        assert self._server is not None
        last = messages[-1]
        begun = last.content if last.role == "assistant" else ""
        if begun:
            # A prompt that ends in a space makes the tokens that follow improbable ones.
            messages = [*messages[:-1], ChatMessage("assistant", begun.rstrip())]
        request = {
            "messages": [
                {"role": message.role, "content": message.content} for message in messages
            ],
            "max_tokens": command.max_output_tokens,
            "temperature": command.temperature,
            "repeat_penalty": self.config.llm.repeat_penalty,
            "repeat_last_n": _REPEAT_WINDOW_TOKENS,
            "stop": list(command.stop),
            "stream": True,
            "return_progress": True,
            "stream_options": {"include_usage": True},
        }
        reply = _Reply(emit, skip_space=begun[-1:].isspace())
        self._server.handle_chat_completions(request, reply.take)
        self.tokens_read = reply.tokens_read
        return reply


class _Reading:
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
                probability = end_probability(tokens[0]["top_logprobs"], self._end_token)
                self._emit((TurnEnd(probability=probability), b""))
                self._has_words = False
        return False


class _Reply:
    """One streamed response: what the server calls back with, turned into steps."""

    def __init__(self, emit: Emit, *, skip_space: bool) -> None:
        self.overlong_tokens = 0
        """Length of the prompt when it did not fit; nothing was generated then."""
        self.tokens_read = 0
        self._emit = emit
        self._skip_space = skip_space
        self._usage = Usage()
        self._error: Mapping[str, Any] = {}

    def take(self, chunk: Mapping[str, Any]) -> bool:
        """Take one chunk in the form of an OpenAI chat completion. True stops the generation."""
        if error := chunk.get("error"):
            self.overlong_tokens = error.get("n_prompt_tokens", 0)
            self._error = error
            return True
        if usage := chunk.get("usage"):
            self._usage = self._usage._replace(
                input_tokens=usage["prompt_tokens"], output_tokens=usage["completion_tokens"]
            )
        if "prompt_progress" in chunk:
            return not self._emit(None)
        if timings := chunk.get("timings"):
            self.tokens_read = timings["prompt_n"]
        for choice in chunk["choices"]:
            if choice["finish_reason"] == "length":
                self._usage = self._usage._replace(finish_reason="length")
            text = choice["delta"].get("content") or ""
            if self._skip_space:
                text = text.lstrip()
            if text:
                self._skip_space = False
                if not self._emit((TextDelta(text=text), b"")):
                    return True
        return False

    def end(self) -> None:
        """Emit the usage. Raises JobFailed when the server reported an error."""
        if self._error:
            raise JobFailed(
                str(self._error.get("type", "engine_error")),
                f"llama.cpp refused the job with code {self._error.get('code')}",
                retryable=False,
            )
        self._emit(self._usage)


def model_file(config: Config) -> Path:
    """Return the configured GGUF file; of a manifest model the requantized one, where asked for."""
    path = models.find(config.llm.model, config.models.directory)
    if path.is_dir():
        path /= _MANIFEST_FILE
    if config.llm.requantize and config.llm.model in models.manifest():
        return requantized.as_q4_0(path)
    return path
