"""Another language model for the running server: the commands that fetch it and switch to it.

They are those of a person at the terminal, `antiphon models pull` and `use`, as child processes:
the supervisor, its workers and the model cache are theirs to know.
"""

import asyncio
import logging
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from antiphon_proto import larger_models, machine
from antiphon_proto.config import SETTINGS_NAME, Config, child_environment

_LINE_BYTES = 1 << 20
_AS_STARTED = ("context_tokens", "threads", "generation_threads")
_PREFIX = "antiphon: "
"""How the commands begin an error."""

_log = logging.getLogger(__name__)

State = Literal["fetching", "switching", "done", "failed", "stopped"]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is, or how it ended."""

    name: str
    """As `antiphon models use` takes it."""
    url: str = ""
    """Of the server that has the model, or fetches it; empty: the embedded engine."""
    state: State
    step: str = ""
    """What is fetched."""
    done_bytes: int = 0
    total_bytes: int = 0
    """0: not known."""
    problem: str = ""
    keep: str = ""
    """Lines of a configuration file that keep the choice for the next start."""


class ModelChange:
    """One change at a time: the next one begins when it has ended."""

    def __init__(self, config: Config) -> None:
        self._directory = config.bus.directory.absolute()
        self._single = config.gateway.processes == 1
        self._llm = config.llm
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._wanted = asyncio.Event()
        self.latest: Change | None = None

    @property
    def possible(self) -> bool:
        """Whether `antiphon up` runs this server, with this gateway alone.

        Of several, each request may reach another one, which knows nothing of the change.
        """
        return self._single and (self._directory / SETTINGS_NAME).is_file()

    @property
    def busy(self) -> bool:
        """Whether one is under way."""
        return self._state in ("fetching", "switching")

    @property
    def _state(self) -> State | None:
        return self.latest.state if self.latest is not None else None

    def begin(self, name: str, url: str, *, fetch: bool) -> None:
        """Have `run` switch to a model, which it fetches before if need be; not while `busy`."""
        self.latest = Change(name=name, url=url, state="fetching" if fetch else "switching")
        self._stopping = False
        self._wanted.set()

    def stop(self) -> bool:
        """Have the fetching stop; it is `stopped` soon. False when nothing is fetched."""
        if self._state != "fetching":
            return False
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
        return True

    async def run(self) -> None:
        """Make the changes that were begun, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            change = self.latest
            assert change is not None
            began = asyncio.get_running_loop().time()
            try:
                await self._make(change)
            except OSError as exc:
                self._now(state="failed", problem=f"the command cannot be run: {exc.strerror}")
            took_s = round(asyncio.get_running_loop().time() - began, 1)
            extra = {"model": change.name, "state": self._state, "took_s": took_s}
            _log.info("change of the language model ended", extra=extra)

    async def _make(self, change: Change) -> None:
        if change.state == "fetching" and not await self._command("pull", change):
            return
        self._now(state="switching", step="")
        if await self._command("use", change):
            self._now(state="done")

    async def _command(self, verb: str, change: Change) -> bool:
        """Run a command, following what it tells; False when it failed or was stopped."""
        settings = str(self._directory / SETTINGS_NAME)
        command = [sys.executable, "-m", "antiphon", "models", verb, change.name, "--json"]
        command += ["--config", settings]
        flags = [f"llm.url={change.url}"] if change.url else self._embedded_settings(change.name)
        command += [part for flag in flags for part in ("--set", flag)]
        self._process = process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=child_environment(),
            limit=_LINE_BYTES,
        )
        if self._stopping:  # while it was being started
            process.terminate()
        last = ""
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                last = self._take(line) or last
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if self._stopping:
            self._now(state="stopped")
        if not self.busy:
            return False
        if process.returncode:
            self._now(state="failed", problem=last or f"the command ended by {process.returncode}")
            return False
        return True

    def _embedded_settings(self, name: str) -> Sequence[str]:
        """Return how the embedded engine runs a model: a larger one its own way, others as the
        gateway was started, whatever ran in between."""
        cores = machine.look(cards=False).cores
        as_started = (f"llm.{key}={getattr(self._llm, key)}" for key in _AS_STARTED)
        return larger_models.settings(name, cores) or tuple(as_started)

    def _take(self, line: bytes) -> str:
        """Take what a command tells; return the line where it is none of its JSON."""
        try:
            told: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeError):
            return line.decode(errors="replace").strip().removeprefix(_PREFIX)
        if told.get("switched") is False:
            self._now(state="failed", problem=f"no `antiphon up` runs in {self._directory}")
        elif self.busy:
            self._now(**_known(told, ("done_bytes", "total_bytes", "keep")))
            self._now(step=str(told.get("doing", "")))
        return ""

    def _now(self, **changes: Any) -> None:
        assert self.latest is not None
        self.latest = msgspec.structs.replace(self.latest, **changes)


def _known(told: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: told[name] for name in names if name in told}
