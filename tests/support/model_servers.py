"""Starts `model_server.py`, and tells tests where it is and what it was asked."""

import atexit
import contextlib
import functools
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from antiphon_proto import larger_models
from antiphon_proto.config import load
from antiphon_proto.errors import StartupError

_PROGRAM = Path(__file__).with_name("model_server.py")
_STOP_S = 20.0
CHAT, TOOLS, EMBEDDING = "smollm2:135m", "smollm2-tools:135m", "embedder:latest"
"""One model under two names, with and without tools; and one that does not chat."""
CAPABILITIES = {CHAT: ["completion"], TOOLS: ["completion", "tools"], EMBEDDING: ["embedding"]}
PULLABLE = frozenset({"pullable:1b", *(model.ollama for model in larger_models.MODELS)})
PULLED_BYTES = 100_000_000
NO_NETWORK = "no-network"
"""A file beside the record: while it is there, pulling fails."""


class ModelServer(NamedTuple):
    """A running one."""

    ollama: str
    openai: str
    record: Path
    process: "subprocess.Popen[str]"

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which programs find it."""
        return {"OLLAMA_HOST": self.ollama, "OPENAI_BASE_URL": self.openai}

    def chats(self) -> list[dict[str, Any]]:
        """Return what Ollama's endpoint was asked, and how each chat ended."""
        return [line for line in self._lines() if "end" in line]

    def conversations(self) -> list[list[str]]:
        """Return what the messages said of each chat that Ollama's endpoint was asked."""
        chats = [chat["request"]["messages"] for chat in self.chats()]
        return [[message["content"] for message in messages] for messages in chats]

    @contextlib.contextmanager
    def offline(self) -> Iterator[None]:
        """For the block, its Ollama cannot reach where models come from."""
        mark = self.record.with_name(NO_NETWORK)
        mark.touch()
        yield
        mark.unlink()

    def begun(self) -> int:
        """Return how many chats have begun to be answered."""
        return sum("begun" in line for line in self._lines())

    def _lines(self) -> list[dict[str, Any]]:
        if not self.record.exists():
            return []
        return [json.loads(line) for line in self.record.read_text().splitlines()]


@contextlib.contextmanager
def model_server(key: str = "", *, empty: bool = False) -> Iterator[ModelServer]:
    """Run one for the block. Raises StartupError when the embedded model is not installed.

    `empty`: its Ollama has no model before one is pulled.
    """
    try:
        from antiphon_workers.llm.llamacpp_engine import model_file
    except ImportError as exc:
        raise StartupError(f"no language model can be run here ({exc})") from exc
    model = model_file(load(environment={}))
    with tempfile.TemporaryDirectory(prefix="antiphon-") as directory:
        record = Path(directory) / "record.jsonl"
        command = [sys.executable, str(_PROGRAM), str(model), str(record), key, str(int(empty))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                addresses = json.loads(process.stdout.readline())
                yield ModelServer(**addresses, record=record, process=process)
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait(_STOP_S)


@functools.cache
def shared() -> ModelServer:
    """Return the one of this test process, which ends with it."""
    opened = contextlib.ExitStack()
    atexit.register(opened.close)
    return opened.enter_context(model_server())
