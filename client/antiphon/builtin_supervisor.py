"""A small supervisor: starts the programs, starts what ends again, stops all of them in order.

`python -m antiphon.builtin_supervisor PARENT_PID DIRECTORY BIN_DIR`. On Linux the kernel sends it
SIGTERM when its parent dies in any way, and SIGKILL to the programs when it does. What it knows of
them is in the file `programs.STATE_NAME`, replaced at each change. SIGHUP has it read
`programs.WORKERS_NAME` again: it starts workers that are new and ends those not named any more, or
named with other settings.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import msgspec

from antiphon import parent_death, programs
from antiphon.placement import Deployment
from antiphon.process_state import ProcessState
from antiphon.respawn import Respawn
from antiphon.supervisor_link import read_deployment
from antiphon_proto import config
from antiphon_proto.config import Config, child_environment

LOG_CHECK_S = 5.0
EXIT_NOT_RUN = 127
"""What shells say of a command that they cannot run."""


class Kept:
    """One program, from when it is wanted until it has ended."""

    def __init__(self, program: programs.Program) -> None:
        self.program = program
        self.leave = asyncio.Event()
        """It is not started again."""
        self.ended = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and its children."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


class Keeper:
    """The programs of one server."""

    def __init__(self, settings: Config, directory: Path, bin_dir: Path) -> None:
        self._settings = settings
        self._directory = directory
        self._bin_dir = bin_dir
        self._die_with_us = parent_death.signaller(signal.SIGKILL)
        self._states: dict[str, ProcessState] = {}
        self._kept: dict[str, Kept] = {}
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()

    def request_stop(self) -> None:
        """Stop in good order and return from `run`."""
        self._stopping.set()
        self._changed.set()

    def request_change(self) -> None:
        """Read again which workers are wanted, start those that are new, end the others."""
        self._changed.set()

    async def run(self) -> None:
        """Keep every program running until asked to stop."""
        async with asyncio.TaskGroup() as group:
            for program in programs.programs(self._settings, self._deployment()):
                self._keep(program, group)
            logs = group.create_task(self._rotate_logs(), name="logs")
            while await self._changed.wait() and not self._stopping.is_set():
                self._changed.clear()
                self._follow(group)
            for in_front in (True, False):
                await self._end_all(in_front)
            logs.cancel()

    def _deployment(self) -> Deployment:
        return read_deployment(self._directory)

    def _follow(self, group: asyncio.TaskGroup) -> None:
        wanted = {program.name: program for program in programs.workers(self._deployment())}
        for name, program in wanted.items():
            if name not in self._kept:
                self._keep(program, group)
        for name, kept in self._kept.items():
            worker = not kept.program.in_front and name != programs.DISPATCHER
            # A name that is wanted again may have another command by now.
            if worker and wanted.get(name) != kept.program and not kept.leave.is_set():
                group.create_task(self._end(kept), name=f"end {name}")

    def _keep(self, program: programs.Program, group: asyncio.TaskGroup) -> None:
        kept = self._kept[program.name] = Kept(program)
        group.create_task(self._keep_running(kept), name=program.name)

    async def _keep_running(self, kept: Kept) -> None:
        name, respawn, code = kept.program.name, Respawn(), 0
        while not kept.leave.is_set():
            began_s = time.monotonic()
            started, code = time.time(), await self._run_once(kept, code)
            self._note(ProcessState(name, False, 0, started, code))
            pause_s = respawn.pause_s(time.monotonic() - began_s)
            if pause_s:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(kept.leave.wait(), pause_s)
        kept.ended.set()

    async def _run_once(self, kept: Kept, code_before: int) -> int:
        """Run a program to its end; return its exit code."""
        program = kept.program
        settings = str(self._directory / programs.SETTINGS_NAME)
        executable, *rest = program.line(("--config", settings))
        command = [str(self._bin_dir / executable), *rest]
        with programs.log_file(self._directory, program.name).open("ab") as log:
            try:
                process = await self._spawn(command, program.environment, log)
            except OSError as exc:
                log.write(f"cannot be started: {exc}\n".encode())
                return EXIT_NOT_RUN
        kept.process = process
        if kept.leave.is_set():  # asked while it was being started
            kept.signal(signal.SIGTERM)
        self._note(ProcessState(program.name, True, process.pid, time.time(), code_before))
        code = await process.wait()
        kept.process = None
        return code

    async def _spawn(
        self, command: list[str], environment: Mapping[str, str], log: IO[bytes]
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command,
            env=child_environment(**environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
            process_group=0,
            preexec_fn=self._die_with_us,
        )

    async def _end_all(self, in_front: bool) -> None:
        """Ask the programs of one rank to end, side by side, and wait until they have."""
        async with asyncio.TaskGroup() as group:
            for name, kept in list(self._kept.items()):
                if kept.program.in_front == in_front:
                    group.create_task(self._end(kept), name=f"end {name}")

    async def _end(self, kept: Kept) -> None:
        """Ask a program to end; kill it when it does not in time; forget it."""
        kept.leave.set()
        kept.signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(kept.program.stop_wait_s(self._settings)):
                await kept.ended.wait()
        kept.signal(signal.SIGKILL)
        await kept.ended.wait()
        name = kept.program.name
        if self._kept.pop(name, None) and not self._stopping.is_set():
            del self._states[name]
            self._write_states()
            self.request_change()

    def _note(self, state: ProcessState) -> None:
        self._states[state.name] = state
        self._write_states()

    def _write_states(self) -> None:
        file = self._directory / programs.STATE_NAME
        new = file.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(list(self._states.values())))
        new.replace(file)

    async def _rotate_logs(self) -> None:
        """Keep each log within its size; the programs write on into the same, emptied file."""
        while True:
            await asyncio.sleep(LOG_CHECK_S)
            for name in list(self._kept):
                log = programs.log_file(self._directory, name)
                if log.exists() and log.stat().st_size > programs.LOG_BYTES:
                    await asyncio.to_thread(shutil.copyfile, log, f"{log}.1")
                    os.truncate(log, 0)


async def _run(directory: Path, bin_dir: Path) -> None:
    settings = config.load(file=str(directory / programs.SETTINGS_NAME), environment={})
    keeper = Keeper(settings, directory, bin_dir)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, keeper.request_stop)
    loop.add_signal_handler(signal.SIGHUP, keeper.request_change)
    (directory / programs.PID_NAME).write_text(str(os.getpid()))
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
