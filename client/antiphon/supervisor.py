"""Starts and stops the supervisor: supervisord, or our own."""

import contextlib
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from antiphon import programs
from antiphon.placement import Deployment
from antiphon.process_state import ProcessState
from antiphon.supervisor_link import CONFIGURATION_NAME, LINKS
from antiphon_proto.config import Config, child_environment
from antiphon_proto.errors import StartupError


class Supervisor(ABC):
    """A supervisor process of our own, in a session of its own so that Ctrl-C reaches only us."""

    def __init__(
        self, config: Config, deployment: Deployment, directory: Path, bin_dir: Path, keep_open: int
    ) -> None:
        """Write its configuration into `directory` and start it.

        `keep_open` is a file descriptor that it holds as long as it lives.
        Raises StartupError when it or our executables are not installed.
        """
        for program in programs.programs(config, deployment):
            if not (bin_dir / program.command[0]).is_file():
                raise StartupError(f"{bin_dir / program.command[0]} is missing; run: make setup")
        self._directory = directory
        self._output = programs.log_file(directory, f"{self.name}-output")
        for name in (programs.STATE_NAME, programs.PID_NAME):
            (directory / name).unlink(missing_ok=True)
        command = self.command(bin_dir)
        self._link = LINKS[config.supervision.supervisor](directory, bin_dir)
        self._link.configure(config, deployment)
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env=child_environment(PYTHONUNBUFFERED="1"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(keep_open,),
                start_new_session=True,
            )

    name: ClassVar[str]

    @abstractmethod
    def command(self, bin_dir: Path) -> list[str]:
        """Return what to run. Raises StartupError when it is not installed."""

    def processes(self) -> Mapping[str, ProcessState]:
        """Return the processes by name; empty while the supervisor does not answer."""
        return self._link.processes()

    @property
    def alive(self) -> bool:
        """Whether the supervisor runs."""
        return self._process.poll() is None

    def output(self) -> str:
        """Return what the supervisor itself printed: why it refused to start."""
        return self._output.read_text(errors="replace").strip()

    def terminate(self) -> None:
        """Ask every program to finish and end; see `programs.stop_wait_s`."""
        if self.alive:
            self._process.terminate()

    def hurry(self, state: ProcessState) -> None:
        """Ask a program that is stopping to stop at once; what has ended is left alone."""
        if state.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(state.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End everything at once."""
        if self.alive:
            living = self.processes()
            self._process.kill()
            self._process.wait()
            for state in living.values():
                if state.pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(state.pid, signal.SIGKILL)


class Supervisord(Supervisor):
    """The well-known one."""

    name = "supervisord"

    def command(self, bin_dir: Path) -> list[str]:
        """Run it through our wrapper."""
        if find_spec("supervisor") is None:
            raise StartupError(
                "package supervisor is missing; run: pip install 'supervisor>=4.3', "
                "or use the built-in one: antiphon up --supervise=builtin"
            )
        command = [sys.executable, "-m", "antiphon.supervisor_process", str(os.getpid())]
        return [*command, "-n", "-c", str(self._directory / CONFIGURATION_NAME)]


class BuiltinSupervisor(Supervisor):
    """Ours, `antiphon.builtin_supervisor`: restarts in milliseconds."""

    name = "supervisor"

    def command(self, bin_dir: Path) -> list[str]:
        """Run it on the settings."""
        command = [sys.executable, "-m", "antiphon.builtin_supervisor", str(os.getpid())]
        return [*command, str(self._directory), str(bin_dir)]


SUPERVISORS: Mapping[str, type[Supervisor]] = {
    "supervisord": Supervisord,
    "builtin": BuiltinSupervisor,
}
