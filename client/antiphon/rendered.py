"""Pure: the programs of a server as a Procfile and as supervisord's configuration."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from antiphon.placement import Deployment
from antiphon.programs import (
    LOG_BYTES,
    SOCKET_NAME,
    Program,
    log_file,
    programs,
)
from antiphon_proto.config import Config

FRONT_PRIORITY = 2
WORKER_PRIORITY = 1
"""Programs of a higher priority are stopped first, and waited for."""


def procfile(config: Config, deployment: Deployment, flags: Sequence[str] = ()) -> str:
    """Return the Procfile: one line a process, for `honcho start`.

    `flags` are added to every command.
    """
    lines = []
    for program in programs(config, deployment):
        variables = [f"{key}={shlex.quote(value)}" for key, value in program.environment.items()]
        command = shlex.join(program.line(flags))
        lines.append(f"{program.name}: {' '.join([*variables, command])}")
    return "".join(f"{line}\n" for line in lines)


def supervisord(
    config: Config,
    deployment: Deployment,
    directory: Path,
    bin_dir: Path,
    flags: Sequence[str],
) -> str:
    """Return supervisord's configuration.

    `directory` holds its socket and logs, `bin_dir` our executables; `flags` are added to every
    command. A program that ends is started again at once and for ever: `startsecs=0` makes each
    start count as good, so none is given up on.
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
    sections += [
        _program(program, directory, bin_dir, flags, program.stop_wait_s(config))
        for program in programs(config, deployment)
    ]
    return "\n".join(sections)


def _program(
    program: Program, directory: Path, bin_dir: Path, flags: Sequence[str], stop_wait_s: int
) -> str:
    executable, *rest = program.line(flags)
    # supervisord reads the variables as shell words.
    variables = [f'{key}="{value}"' for key, value in program.environment.items()]
    return _section(
        f"program:{program.name}",
        command=shlex.join([str(bin_dir / executable), *rest]),
        **({"environment": ",".join(variables)} if variables else {}),
        priority=FRONT_PRIORITY if program.in_front else WORKER_PRIORITY,
        autostart="true",
        autorestart="true",
        startsecs=0,
        startretries=1_000_000,
        stopsignal="TERM",
        stopwaitsecs=stop_wait_s,
        stopasgroup="true",
        killasgroup="true",
        redirect_stderr="true",
        stdout_logfile=log_file(directory, program.name),
        stdout_logfile_maxbytes=LOG_BYTES,
        stdout_logfile_backups=1,
    )


def _section(name: str, **values: object) -> str:
    lines = "".join(f"{key} = {_escaped(str(value))}\n" for key, value in values.items())
    return f"[{name}]\n{lines}"


def _escaped(value: str) -> str:
    """Protect `%`, which supervisord expands."""
    return value.replace("%", "%%")
