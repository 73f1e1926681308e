"""A language model that thinks nothing: a fixed reply, word by word, or a fixed call."""

import asyncio
import time
from collections.abc import AsyncGenerator

from antiphon_proto.messages import FunctionCalled, Generate, Job, ReadPrompt, TextDelta
from antiphon_workers.engine import Engine, Step, Usage

HEARD = "{heard}"
"""Stands in `simulated.reply` for the last message of the user."""


def remaining_words(command: Generate, reply: str) -> list[str]:
    """Return the words of `reply`, each with its leading space, that are still to be said.

    An assistant message at the end that is the beginning of `reply` is continued.
    """
    last = command.messages[-1]
    said = last.content if last.role == "assistant" and reply.startswith(last.content) else ""
    first, *others = reply[len(said) :].split(" ")
    return [word for word in (first, *(f" {other}" for other in others)) if word]


class SimulatedLlm(Engine):
    """Says `simulated.reply`, the first word after `llm_first_token_ms`, one per `llm_token_ms`."""

    stage = "llm"

    def load(self) -> None:
        """Take `simulated.load_ms`."""
        time.sleep(self.config.simulated.load_ms / 1000)

    async def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield one delta per word; reading a prompt takes no time and tells nothing."""
        command = job.command
        if isinstance(command, ReadPrompt):
            return
        assert isinstance(command, Generate)
        settings = self.config.simulated
        asked = command.messages[-1].role == "user"
        if command.functions and (command.must_call or (settings.call_arguments and asked)):
            await asyncio.sleep(settings.llm_first_token_ms / 1000)
            arguments = settings.call_arguments or "{}"
            yield FunctionCalled(name=command.functions[0].name, arguments=arguments), b""
            yield Usage(input_tokens=1, output_tokens=1)
            return
        users = [message.content for message in command.messages if message.role == "user"]
        words = remaining_words(command, settings.reply.replace(HEARD, users[-1] if users else ""))
        said = words[: command.max_output_tokens]
        await asyncio.sleep(settings.llm_first_token_ms / 1000)
        for place, word in enumerate(said):
            if place:
                await asyncio.sleep(settings.llm_token_ms / 1000)
            yield TextDelta(text=word), b""
        yield Usage(
            input_tokens=sum(len(message.content.split()) for message in command.messages),
            output_tokens=len(said),
            finish_reason="stop" if len(said) == len(words) else "length",
        )
