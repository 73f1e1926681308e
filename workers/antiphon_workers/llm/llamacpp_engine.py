"""llama.cpp inside the worker process, through xllamacpp's server and its direct calls."""

import functools
import os
import tempfile
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import xllamacpp

from antiphon_proto import models
from antiphon_proto.config import Config
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import (
    Generate,
    Job,
    ReadPrompt,
)
from antiphon_workers.engine import Engine, Step, Usage
from antiphon_workers.llm import chat_template, functions, requantized
from antiphon_workers.llm.chat_template import ChatTemplate
from antiphon_workers.llm.context import fit, tokens_per_byte_seen
from antiphon_workers.llm.function_caller import FunctionCaller
from antiphon_workers.llm.functions import fold
from antiphon_workers.llm.message_end import CANDIDATES, without_end_mark
from antiphon_workers.llm.openai_form import as_json, tool_json
from antiphon_workers.llm.replies import Reading, Reply
from antiphon_workers.llm.session_order import SessionOrder
from antiphon_workers.llm.template_probe import TemplateProbe
from antiphon_workers.llm.token_counter import TokenCounter
from antiphon_workers.threads import Emit, steps_from_callback

_SILENT = -1
_CACHE_MIB = 256
"""Prompts of sessions that lost their slot, kept in memory."""
_REPEAT_WINDOW_TOKENS = 256
_MANIFEST_FILE = "model.gguf"
_FLASH_ATTENTION = {
    True: xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    False: xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
_KEY_TYPES = {
    "q8_0": xllamacpp.ggml_type.GGML_TYPE_Q8_0,
    "f16": xllamacpp.ggml_type.GGML_TYPE_F16,
}


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
        self._counter: TokenCounter | None = None
        self._socket: int | None = None
        self._knows_functions = False
        """Whether the model's chat template has a form for functions."""
        self.tokens_read = 0
        """Tokens of the last answer's prompt that were not in the cache."""

    def load(self) -> None:
        """Load the model and read the default instructions into its cache.

        Raises StartupError when the model is not installed or not a GGUF model.
        """
        path = model_file(self.config)
        # The server insists on listening, and only there it counts tokens. Its socket's directory
        # goes away at once: then this process alone can reach it.
        with tempfile.TemporaryDirectory(prefix="antiphon-llm-") as directory:
            socket = f"{directory}/http.sock"
            try:
                self._server = xllamacpp.Server(self._parameters(path, socket))
            except RuntimeError as exc:
                raise StartupError(
                    f"llama.cpp cannot load {path} ({exc}); check it with: antiphon doctor --deep"
                ) from exc
            self._learn_template(TemplateProbe(socket))
            if hasattr(os, "O_PATH"):
                self._socket = os.open(socket, os.O_PATH)
        self._greet()

    def _greet(self) -> None:
        """Read the default instructions into the cache, and see how long the prompt was."""
        greeting = (ChatMessage("system", self.config.llm.instructions), ChatMessage("user", "Hi"))
        usages: list[Usage] = []

        def take(step: Step) -> bool:
            usages.extend([step] if isinstance(step, Usage) else [])
            return True

        self._complete(Generate(messages=greeting, max_output_tokens=1, temperature=0.0), take)
        if self._socket is not None:
            probe = TemplateProbe(f"/proc/self/fd/{self._socket}")
            self._counter = TokenCounter(probe.count, self._template)
            self._counter.correct(greeting, usages[0].input_tokens)

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
        if self._socket is not None:
            os.close(self._socket)
            self._socket = None

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
        parameters.flash_attn_type = _FLASH_ATTENTION[settings.flash_attention]
        parameters.cache_type_k = _KEY_TYPES[settings.key_type]
        parameters.cpuparams.n_threads = settings.generation_threads
        parameters.cpuparams_batch.n_threads = settings.threads
        for threads in (parameters.cpuparams, parameters.cpuparams_batch):
            # Polling threads would keep a core busy between tokens.
            threads.poll = 0
        return parameters

    def _fit(self, command: Generate | ReadPrompt, most_output_tokens: int) -> list[ChatMessage]:
        """Return what fits of a conversation, by the model's own tokens where they can be known."""
        limit = self._prompt_limit(most_output_tokens)
        messages, counter = command.messages, self._counter
        if counter is None:
            return fit(messages, limit, truncation=command.truncation)
        limit -= counter.around
        if self._knows_functions:
            limit -= counter.functions(command.functions)
        return fit(messages, limit, truncation=command.truncation, count=counter.message)

    def _prompt_limit(self, max_output_tokens: int) -> int:
        context_tokens = self.config.llm.context_tokens
        return max(context_tokens - max_output_tokens, context_tokens // 2)

    def _learn_template(self, probe: TemplateProbe) -> None:
        self._template = chat_template.learn(probe.render)
        self._knows_functions = probe.renders_functions()
        if self._template is not None:
            self._end_token = probe.first_token(self._template.closing)

    def _read(self, command: ReadPrompt, emit: Emit) -> None:
        """Read the conversation into the cache; emit how probably its last message has ended.

        Nothing is read that would not fit, or of a model whose template could not be learned.
        """
        assert self._server is not None
        if command.functions and self._knows_functions:
            return
        # Cut as for the answer to come, whose prompt must begin with this one.
        command = msgspec.structs.replace(command, messages=tuple(fold(command.messages)))
        *before, last = self._fit(command, self.config.llm.max_output_tokens)
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
        self._server.handle_completions(request, Reading(emit, bool(words), self._end_token).take)

    def _complete(self, command: Generate, emit: Emit) -> None:
        """Call a function or generate text."""
        may_choose = functions.may_call(command.messages) and not self._knows_functions
        if not self._knows_functions:
            messages = tuple(fold(command.messages))
            command = msgspec.structs.replace(command, messages=messages)
        if command.functions and (command.must_call or may_choose):
            caller = FunctionCaller(self._ask, emit)
            if caller.call(command):
                return
        self._generate(command, emit)

    def _generate(self, command: Generate, emit: Emit) -> None:
        """Generate, dropping more of the conversation when it proves longer than estimated."""
        messages = self._fit(command, command.max_output_tokens)
        reply = self._call(command, messages, emit)
        if reply.overlong_tokens and command.truncation.enabled:
            limit = self._prompt_limit(command.max_output_tokens)
            ratio = tokens_per_byte_seen(messages, reply.overlong_tokens)
            messages = fit(command.messages, limit, ratio, command.truncation)
            reply = self._call(command, messages, emit)
        reply.end()

    def _ask(self, messages: list[ChatMessage], grammar: str, max_tokens: int, emit: Emit) -> Reply:
        """Have something written that fits a grammar, the most probable thing."""
        assert self._server is not None
        reply = Reply(emit)
        self._server.handle_chat_completions(
            {
                "messages": [as_json(message) for message in messages],
                "max_tokens": max_tokens,
                "temperature": 0.0,
                "grammar": grammar,
                "stream": True,
                "return_progress": True,
                "stream_options": {"include_usage": True},
            },
            reply.take,
        )
        return reply

    def _call(self, command: Generate, messages: list[ChatMessage], emit: Emit) -> Reply:
        assert self._server is not None
        last = messages[-1]
        begun = last.content if last.role == "assistant" and not last.calls else ""
        if begun:
            # A prompt that ends in a space makes the tokens that follow improbable ones.
            messages = [*messages[:-1], ChatMessage("assistant", begun.rstrip())]
        request: dict[str, Any] = {
            "messages": [as_json(message) for message in messages],
            "max_tokens": command.max_output_tokens,
            "temperature": command.temperature,
            "repeat_penalty": self.config.llm.repeat_penalty,
            "repeat_last_n": _REPEAT_WINDOW_TOKENS,
            "stop": list(command.stop),
            "stream": True,
            "return_progress": True,
            "stream_options": {"include_usage": True},
        }
        if command.functions and self._knows_functions and not begun:
            request["tools"] = [tool_json(function) for function in command.functions]
        reply = Reply(emit, skip_space=begun[-1:].isspace())
        self._server.handle_chat_completions(request, reply.take)
        self.tokens_read = reply.tokens_read
        return reply


def model_file(config: Config) -> Path:
    """Return the configured GGUF file; of a manifest model the requantized one, where asked for."""
    path = models.find(config.llm.model, config.models.directory)
    if path.is_dir():
        path /= _MANIFEST_FILE
    entry = models.manifest().get(config.llm.model)
    if config.llm.requantize and entry is not None and entry.q4_1:
        return requantized.as_q4_0(path)
    return path
