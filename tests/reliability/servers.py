"""Servers for the bars: simulated engines, and `antiphon up` where a supervisor is wanted."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from system import GATEWAY, SIMULATED, System, children, is_running

from antiphon import programs
from antiphon.process_state import ProcessState

__all__ = ["GATEWAY", "Up", "cpu_s", "files", "log_time_s", "resident_bytes", "running_up"]

REPLY = (
    "The first sentence is short. The second sentence is somewhat longer than the first one was. "
    "And the third sentence ends it."
)
TRANSCRIPT = "this took a while to understand"
ENGINES = {
    **SIMULATED,
    "simulated.reply": REPLY,
    "simulated.transcript": TRANSCRIPT,
    "gateway.max_sessions": 1_024,
}
AT_ONCE = {"playout.unreported_lead_ms": 600_000}
"""Audio as soon as it is made: for bars that count, so that nobody waits for the playing of it."""
TASKS = "antiphon_event_loop_tasks"
_STOP_S = 40.0


class Up(System):
    """A server under `antiphon up`: its programs are found below the supervisor."""

    def __init__(
        self, directory: Path, settings: Mapping[str, object] | None, supervisor: str
    ) -> None:
        super().__init__(directory, settings)
        flags = [f"--set={key}={value}" for key, value in self.settings.items()]
        with (directory / "up.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "antiphon", "up", f"--supervise={supervisor}", *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def programs(self) -> dict[str, int]:
        """Return the process ids of the programs that run now, by name."""
        found: dict[str, int] = {}
        for supervisor in _children(self.process.pid):
            for pid in _children(supervisor):
                if name := _program(pid):
                    found[name] = pid
        return found

    def pid(self, name: str) -> int:
        """Return the id of a program's process; it must run."""
        return self.programs()[name]

    def states(self) -> dict[str, ProcessState]:
        """Return what the built-in supervisor says of the programs."""
        file = Path(str(self.settings["bus.runtime_dir"])) / programs.STATE_NAME
        states = msgspec.json.decode(file.read_bytes(), type=list[ProcessState])
        return {state.name: state for state in states}

    def kill(self, name: str) -> None:
        """Kill a program; its supervisor starts it again."""
        with contextlib.suppress(KeyError, ProcessLookupError):
            os.kill(self.pid(name), signal.SIGKILL)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a program."""
        os.kill(self.pid(name), number)

    def log_file(self, name: str) -> Path:
        """Return where a program writes."""
        return Path(str(self.settings["bus.runtime_dir"])) / "logs" / f"{name}.log"

    def logs(self) -> str:
        """Return what all programs have written."""
        names = sorted(path.stem for path in self.log_file("x").parent.glob("*.log"))
        up = (self.directory / "up.log").read_text()
        return up + "\n".join(f"--- {name}\n{self.log(name)}" for name in names)

    def stop(self) -> None:
        """Stop all of it in good order."""
        with contextlib.suppress(KeyError):
            for pid in self.programs().values():
                os.kill(pid, signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def running_up(
    settings: Mapping[str, object] | None = None, supervisor: str = "builtin"
) -> Iterator[Up]:
    """Start a server under a supervisor, wait until it is ready, and stop it after the block."""
    directory = Path(tempfile.mkdtemp(prefix="antiphon-"))
    server = Up(directory, settings, supervisor)
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def log_time_s(event: Mapping[str, Any]) -> float:
    """Return when a line was logged, in Unix time."""
    stamp = datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    return stamp.replace(tzinfo=UTC).timestamp()


def resident_bytes(pid: int) -> int:
    """Return the memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.asynccontextmanager
async def growing(pid: int, name: str, grown: dict[str, float]) -> AsyncIterator[None]:
    """Note by how many megabytes a process has grown at most during the block."""
    before_bytes = most_bytes = resident_bytes(pid)

    async def watch() -> None:
        nonlocal most_bytes
        while True:
            most_bytes = max(most_bytes, resident_bytes(pid))
            await asyncio.sleep(0.01)

    watching = asyncio.ensure_future(watch())
    try:
        yield
    finally:
        watching.cancel()
    grown[name] = (max(most_bytes, resident_bytes(pid)) - before_bytes) / 1e6


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def files(pid: int) -> int:
    """Return how many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


async def tasks_beyond(server: System, baseline: float) -> float:
    """Return how many tasks the gateway has more, once the last have ended, after 10 s at most."""
    for _ in range(100):
        if (more := server.metric(TASKS) - baseline) <= 0:
            return 0
        await asyncio.sleep(0.1)
    return more


def wait_gone(pids: list[int], within_s: float) -> int:
    """Wait until processes have ended; return how many have not in time."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s and any(is_running(pid) for pid in pids):
        time.sleep(0.02)
    return sum(is_running(pid) for pid in pids)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return children(pid)
    return []


def _program(pid: int) -> str:
    """Return `gateway`, `stt-0` and so on; empty for what is none of our programs."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return ""
    names = [Path(word).name for word in words[:2]]
    if "antiphon-gateway" in names:
        return f"{GATEWAY}-{words[words.index('--index') + 1]}" if "--index" in words else GATEWAY
    if "antiphon-dispatcher" in names:
        return "dispatcher"
    if "antiphon-worker" not in names:
        return ""
    stage = words[names.index("antiphon-worker") + 1]
    return f"{stage}-{words[words.index('--index') + 1]}"
