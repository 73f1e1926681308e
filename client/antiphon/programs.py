"""Pure: which programs make up a server, when they stop, what their files are called."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from antiphon.placement import Deployment
from antiphon_proto import config as configuration
from antiphon_proto.config import Config

WORKER_STOP_WAIT_S = 20
"""Longer than a worker needs to finish what it holds (15 s)."""
GATEWAY_CLOSE_S = 5
"""Longer than the gateway needs to end once it drains no more."""
LOG_BYTES = 4_000_000
"""Size at which a program's log is rotated; one older file is kept."""
SOCKET_NAME = "supervisor.sock"
STATE_NAME = "supervisor.json"
PID_NAME = "supervisor.pid"
SETTINGS_NAME = configuration.SETTINGS_NAME
WORKERS_NAME = "workers.json"
GATEWAY = "gateway"
DISPATCHER = "dispatcher"


class Program(msgspec.Struct, frozen=True):
    """One process."""

    name: str
    """For example `gateway`, `stt-0`."""
    command: tuple[str, ...]
    settings: tuple[str, ...] = ()
    """What differs for this process, in the form of `--set`."""
    environment: Mapping[str, str] = {}
    """What is set besides the variables of its supervisor."""
    in_front: bool = False
    """Stops before the others: the turns that a gateway lets finish need the workers."""

    def line(self, flags: Sequence[str]) -> tuple[str, ...]:
        """Return its command with flags of all programs; its own settings win over theirs."""
        own = (part for setting in self.settings for part in ("--set", setting))
        return (*self.command, *flags, *own)

    def stop_wait_s(self, config: Config) -> int:
        """Return how long it may take to stop; then it is killed."""
        return gateway_stop_wait_s(config) if self.in_front else WORKER_STOP_WAIT_S


def programs(config: Config, deployment: Deployment) -> tuple[Program, ...]:
    """Return the programs that a configuration asks for."""
    front = [Program(GATEWAY, ("antiphon-gateway",), in_front=True)]
    if config.gateway.processes > 1:
        front = [
            Program(
                f"{GATEWAY}-{index}", ("antiphon-gateway", "--index", str(index)), in_front=True
            )
            for index in range(config.gateway.processes)
        ]
    if config.bus.dispatcher == "process":
        front.append(Program(DISPATCHER, ("antiphon-dispatcher",)))
    return (*front, *workers(deployment))


def workers(deployment: Deployment) -> tuple[Program, ...]:
    """Return the workers among the programs."""
    return tuple(
        Program(
            worker.name,
            ("antiphon-worker", worker.stage, "--index", str(worker.index)),
            deployment.settings(worker),
            deployment.environment(worker),
        )
        for worker in deployment.workers
    )


def gateway_stop_wait_s(config: Config) -> int:
    """Return how long the gateway may take to let turns finish and end."""
    return math.ceil(config.gateway.drain_s) + GATEWAY_CLOSE_S


def stop_wait_s(config: Config) -> int:
    """Return how long the whole server may take to stop: the gateway first, then the workers."""
    return gateway_stop_wait_s(config) + WORKER_STOP_WAIT_S


def log_file(directory: Path, name: str) -> Path:
    """Return the log of a process, of the supervisor itself for `supervisord`."""
    return directory / "logs" / f"{name}.log"
