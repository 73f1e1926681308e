"""`antiphon chat`: write to the server and read its answers."""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from antiphon import events, session_flags
from antiphon.connection import Audio, Connection, connect
from antiphon.stdin_lines import lines
from antiphon.task_groups import failure_unwrapped
from antiphon_proto.audio import write_wav

DESCRIPTION = """\
Write to the server, one line a turn, and read its answers as they are made.
Ctrl-C stops an answer, Ctrl-D leaves. Works with a pipe, too.

  antiphon chat
  echo "What is the capital of France?" | antiphon chat
  antiphon chat --speak answers.wav

The exit code is 1 when a turn got no answer.
"""

PROMPT = "> "
_STDIN = 0
_NOTHING_TO_CANCEL = "response_cancel_not_active"


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `antiphon chat`."""
    parser = commands.add_parser(
        "chat",
        help="write to the server and read its answers",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--speak", type=Path, metavar="WAV", help="have the answers spoken, and write them here"
    )
    session_flags.add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    return asyncio.run(_chat(session_flags.server(arguments), arguments.speak))


async def _chat(server: session_flags.Server, speak: Path | None) -> int:
    failed = False
    async with connect(server.url, api_key=server.api_key) as talk:
        chat = Chat(talk, spoken=speak is not None)
        with failure_unwrapped():
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(chat.listen(), name="listen")
                _prompt()
                async for line in lines(_STDIN):
                    if line.strip():
                        failed |= not await chat.ask(line.strip())
                    _prompt()
                listening.cancel()
    if sys.stdin.isatty():
        print()
    if speak and chat.pcm:
        write_wav(speak, bytes(chat.pcm), chat.sample_rate_hz)
    return 1 if failed else 0


class Chat:
    """Questions in writing and their answers, printed as they come."""

    def __init__(self, talk: Connection, *, spoken: bool) -> None:
        self.pcm = bytearray()
        """The spoken answers."""
        self.sample_rate_hz = 0
        self._talk = talk
        self._modality = "audio" if spoken else "text"
        self._begun = asyncio.Event()
        self._sources = ""
        self._answered: asyncio.Future[bool] | None = None

    async def ask(self, text: str) -> bool:
        """Send a question and wait until its answer has ended; tell whether there was one."""
        self._begun.clear()
        self._answered = asyncio.get_running_loop().create_future()
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        with _ctrl_c() as stop:
            await self._talk.send({"type": "conversation.item.create", "item": item})
            response = {"output_modalities": [self._modality]}
            await self._talk.send({"type": "response.create", "response": response})
            async with asyncio.TaskGroup() as group:
                stopping = group.create_task(self._cancel_on(stop), name="stop")
                answered = await self._answered
                stopping.cancel()
        print(flush=True)
        return answered

    async def listen(self) -> None:
        """Print what arrives. Raises ConnectionClosed when the session ends early."""
        async for message in self._talk:
            match message:
                case Audio():
                    self.pcm += message.pcm
                    self.sample_rate_hz = message.sample_rate_hz
                case events.ResponseCreated():
                    self._begun.set()
                case events.TextDelta():
                    print(message.delta, end="", flush=True)
                case events.Citations():
                    self._sources = message.sources
                case events.ResponseDone():
                    self._end(_problem(message.response))
                case events.ErrorEvent() if message.error.code != _NOTHING_TO_CANCEL:
                    self._end(message.error.message or "the server reported an error")

    def _end(self, problem: str) -> None:
        if self._sources and not problem:
            print(f"\n[{self._sources}]", end="", flush=True)
        self._sources = ""
        if problem:
            print(f"antiphon: {problem}", file=sys.stderr)
        if self._answered and not self._answered.done():
            self._answered.set_result(not problem)

    async def _cancel_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        await self._begun.wait()
        await self._talk.send({"type": "response.cancel"})


def _problem(response: events.Response) -> str:
    """Return why there is no answer, empty when there is one or the user stopped it."""
    if response.status != "failed":
        return ""
    error = response.status_details.error if response.status_details else None
    return f"the answer failed: {error.message if error else 'the server gave no reason'}"


@contextlib.contextmanager
def _ctrl_c() -> Iterator[asyncio.Event]:
    """Turn the first Ctrl-C into an event; the second has its usual effect."""
    loop = asyncio.get_running_loop()
    usual = signal.getsignal(signal.SIGINT)
    pressed = asyncio.Event()

    def restore() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, usual)

    def press() -> None:
        pressed.set()
        restore()

    loop.add_signal_handler(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        restore()


def _prompt() -> None:
    if sys.stdin.isatty():
        print(PROMPT, end="", flush=True)
