"""A small supervisor: starts the programs, starts what ends again, stops all of them in order.

`python -m antiphon.builtin_supervisor PARENT_PID DIRECTORY BIN_DIR`. On Linux the kernel sends it
SIGTERM when its parent dies in any way, and SIGKILL to the programs when it does. What it knows of
them is in the file `topology.STATE_NAME`, replaced at each change.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import IO

import msgspec

from antiphon import parent_death, topology
from antiphon.process_state import ProcessState
from antiphon.respawn import Respawn
from antiphon_proto import config
from antiphon_proto.config import Config

LOG_CHECK_S = 5.0
EXIT_NOT_RUN = 127
"""What shells say of a command that they cannot run."""


class Keeper:
    """The programs of one server."""

    def __init__(self, settings: Config, directory: Path, bin_dir: Path) -> None:
        self._settings = settings
        self._directory = directory
        self._bin_dir = bin_dir
        self._die_with_us = parent_death.signaller(signal.SIGKILL)
        self._states: dict[str, ProcessState] = {}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._finished: dict[str, asyncio.Event] = {}

    def request_stop(self) -> None:
        """Stop in good order and return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Keep every program running until asked to stop."""
        async with asyncio.TaskGroup() as group:
            for program in topology.programs(self._settings):
                for index, copy in enumerate(program.copies):
                    self._finished[copy] = asyncio.Event()
                    command = self._command(program, index)
                    group.create_task(self._keep(copy, command), name=copy)
            logs = group.create_task(self._rotate_logs(), name="logs")
            await self._stopping.wait()
            for wave in topology.stop_order(self._settings):
                await self._stop(wave.copies, wave.wait_s)
            logs.cancel()

    def _command(self, program: topology.Program, index: int) -> list[str]:
        executable, *rest = program.command
        settings = str(self._directory / topology.SETTINGS_NAME)
        command = [str(self._bin_dir / executable), *rest, "--config", settings]
        return [*command, "--index", str(index)] if program.numbered else command

    async def _keep(self, copy: str, command: list[str]) -> None:
        respawn, code = Respawn(), 0
        while not self._stopping.is_set():
            began_s = time.monotonic()
            started, code = time.time(), await self._run_once(copy, command, code)
            self._note(ProcessState(copy, False, 0, started, code))
            pause_s = respawn.pause_s(time.monotonic() - began_s)
            if pause_s:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause_s)
        self._finished[copy].set()

    async def _run_once(self, copy: str, command: list[str], code_before: int) -> int:
        """Run a program to its end; return its exit code."""
        with topology.log_file(self._directory, copy).open("ab") as log:
            try:
                process = await self._spawn(command, log)
            except OSError as exc:
                log.write(f"cannot be started: {exc}\n".encode())
                return EXIT_NOT_RUN
        self._running[copy] = process
        self._note(ProcessState(copy, True, process.pid, time.time(), code_before))
        code = await process.wait()
        del self._running[copy]
        return code

    async def _spawn(self, command: list[str], log: IO[bytes]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
            process_group=0,
            preexec_fn=self._die_with_us,
        )

    async def _stop(self, copies: tuple[str, ...], wait_s: float) -> None:
        """Ask programs to end; kill those that do not in time."""
        self._signal(copies, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                for copy in copies:
                    await self._finished[copy].wait()
        self._signal(copies, signal.SIGKILL)
        for copy in copies:
            await self._finished[copy].wait()

    def _signal(self, copies: tuple[str, ...], number: signal.Signals) -> None:
        for copy in copies:
            if process := self._running.get(copy):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)

    def _note(self, state: ProcessState) -> None:
        self._states[state.name] = state
        file = self._directory / topology.STATE_NAME
        new = file.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(list(self._states.values())))
        new.replace(file)

    async def _rotate_logs(self) -> None:
        """Keep each log within its size; the programs write on into the same, emptied file."""
        while True:
            await asyncio.sleep(LOG_CHECK_S)
            for copy in self._finished:
                log = topology.log_file(self._directory, copy)
                if log.exists() and log.stat().st_size > topology.LOG_BYTES:
                    await asyncio.to_thread(shutil.copyfile, log, f"{log}.1")
                    os.truncate(log, 0)


async def _run(directory: Path, bin_dir: Path) -> None:
    settings = config.load(file=str(directory / topology.SETTINGS_NAME), environment={})
    keeper = Keeper(settings, directory, bin_dir)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, keeper.request_stop)
    await keeper.run()


def main() -> None:
    """Supervise until told to stop."""
    parent, directory, bin_dir = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    os.umask(0o077)
    parent_death.signaller(signal.SIGTERM)()
    if os.getppid() == parent:
        asyncio.run(_run(directory, bin_dir))


if __name__ == "__main__":
    main()
