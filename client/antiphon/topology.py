"""Pure: which programs make up a server, and how supervisors are told about them."""

import math
import shlex
from pathlib import Path

import msgspec

from antiphon_proto.config import Config
from antiphon_proto.messages import STAGES

WORKER_STOP_WAIT_S = 20
"""Longer than a worker needs to finish what it holds (15 s)."""
GATEWAY_CLOSE_S = 5
"""Longer than the gateway needs to end once it drains no more."""
LOG_BYTES = 4_000_000
"""Size at which a program's log is rotated; one older file is kept."""
SOCKET_NAME = "supervisor.sock"
STATE_NAME = "supervisor.json"
SETTINGS_NAME = "settings.toml"
GATEWAY = "gateway"
DISPATCHER = "dispatcher"


class Program(msgspec.Struct, frozen=True):
    """One line of the Procfile: a command, run in `processes` copies numbered from 0."""

    name: str
    command: tuple[str, ...]
    processes: int = 1
    numbered: bool = False
    """The command takes its copy's number as `--index`."""

    @property
    def copies(self) -> tuple[str, ...]:
        """Names of the processes, for example `stt-0`, `stt-1`."""
        if not self.numbered:
            return (self.name,)
        return tuple(f"{self.name}-{index}" for index in range(self.processes))


def programs(config: Config) -> tuple[Program, ...]:
    """Return the programs that a configuration asks for."""
    workers = (
        Program(stage, ("antiphon-worker", stage), config.stage(stage).processes, numbered=True)
        for stage in STAGES
    )
    copies = config.gateway.processes
    gateway = Program(GATEWAY, ("antiphon-gateway",), copies, numbered=copies > 1)
    if config.bus.dispatcher == "embedded":
        return (gateway, *workers)
    return (gateway, Program(DISPATCHER, ("antiphon-dispatcher",)), *workers)


def gateway_stop_wait_s(config: Config) -> int:
    """Return how long the gateway may take to let turns finish and end."""
    return math.ceil(config.gateway.drain_s) + GATEWAY_CLOSE_S


def stop_wait_s(config: Config) -> int:
    """Return how long the whole server may take to stop: the gateway first, then the workers."""
    return gateway_stop_wait_s(config) + WORKER_STOP_WAIT_S


class StopWave(msgspec.Struct, frozen=True):
    """Programs that are stopped side by side."""

    copies: tuple[str, ...]
    wait_s: int
    """How long they may take; then they are killed."""


def stop_order(config: Config) -> tuple[StopWave, ...]:
    """Return who stops when: the turns that the gateway lets finish need the workers."""
    front: list[str] = []
    rest: list[str] = []
    for program in programs(config):
        (front if program.name == GATEWAY else rest).extend(program.copies)
    return (
        StopWave(tuple(front), gateway_stop_wait_s(config)),
        StopWave(tuple(rest), WORKER_STOP_WAIT_S),
    )


def log_file(directory: Path, copy: str) -> Path:
    """Return the log of a process, of the supervisor itself for `supervisord`."""
    return directory / "logs" / f"{copy}.log"


def procfile(config: Config) -> str:
    """Return the Procfile: one line a program, for `honcho start`."""
    lines = [f"{program.name}: {shlex.join(program.command)}" for program in programs(config)]
    if config.bus.dispatcher == "embedded":
        lines += [
            "# For several gateways, with bus.dispatcher=process and gateway.processes=2 for all:",
            "# dispatcher: antiphon-dispatcher",
            "# gateway2: antiphon-gateway --index 1",
        ]
    return "".join(f"{line}\n" for line in lines)


def supervisord(config: Config, directory: Path, bin_dir: Path, settings_file: Path) -> str:
    """Return supervisord's configuration.

    `directory` holds its socket and logs, `bin_dir` our executables; every program reads
    `settings_file`. A program that ends is started again at once and for ever: `startsecs=0` makes
    each start count as good, so none is given up on.
    """
    sections = [
        _section(
            "supervisord",
            nodaemon="true",
            silent="true",
            logfile=log_file(directory, "supervisord"),
            logfile_maxbytes=LOG_BYTES,
            logfile_backups=1,
            pidfile=directory / "supervisord.pid",
            umask="077",
        ),
        _section("unix_http_server", file=directory / SOCKET_NAME, chmod="0700"),
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory = "
        "supervisor.rpcinterface:make_main_rpcinterface\n",
        _section("supervisorctl", serverurl=f"unix://{directory / SOCKET_NAME}"),
    ]
    wanted = programs(config)
    for program in wanted:
        wait_s = gateway_stop_wait_s(config) if program.name == GATEWAY else WORKER_STOP_WAIT_S
        sections.append(_program(program, directory, bin_dir, settings_file, wait_s))
    # Programs of one group are stopped side by side, groups one after the other, the highest
    # priority first: the turns that a gateway lets finish need the workers.
    stages = ",".join(program.name for program in wanted if program.name != GATEWAY)
    sections.append(_section("group:workers", programs=stages, priority=1))
    sections.append(_section("group:front", programs=GATEWAY, priority=2))
    return "\n".join(sections)


def _program(
    program: Program, directory: Path, bin_dir: Path, settings_file: Path, stop_wait_s: int
) -> str:
    executable, *rest = program.command
    command = shlex.join([str(bin_dir / executable), *rest, "--config", str(settings_file)])
    command = _escaped(command)
    log = _escaped(str(log_file(directory, program.name)))
    name = "%(program_name)s"
    if program.numbered:
        command += " --index %(process_num)d"
        name += "-%(process_num)d"
        log = _escaped(str(log_file(directory, ""))).removesuffix(".log") + name + ".log"
    lines = {
        "command": command,
        "process_name": name,
        "numprocs": program.processes,
        "autostart": "true",
        "autorestart": "true",
        "startsecs": 0,
        "startretries": 1_000_000,
        "stopsignal": "TERM",
        "stopwaitsecs": stop_wait_s,
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": log,
        "stdout_logfile_maxbytes": LOG_BYTES,
        "stdout_logfile_backups": 1,
    }
    body = "".join(f"{key} = {value}\n" for key, value in lines.items())
    return f"[program:{program.name}]\n{body}"


def _section(name: str, **values: object) -> str:
    lines = "".join(f"{key} = {_escaped(str(value))}\n" for key, value in values.items())
    return f"[{name}]\n{lines}"


def _escaped(value: str) -> str:
    """Protect `%`, which supervisord expands."""
    return value.replace("%", "%%")
