"""`antiphon top`: workers, graphics cards, queues and sessions of a running server, live."""

import argparse
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from antiphon import programs, readiness
from antiphon.supervisor_link import read_deployment
from antiphon.top_view import Seen, screen
from antiphon_proto import config, gpus
from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError
from antiphon_proto.settings import Gateway

DESCRIPTION = """\
Show workers, graphics cards, queues and sessions of the server on this machine, every two seconds
until Ctrl-C. No words of any conversation are in it.

  antiphon top
  antiphon top --once            one picture, for scripts
  antiphon top --set bus.runtime_dir=/run/antiphon
"""

CLEAR = "\x1b[H\x1b[2J"


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `antiphon top`."""
    parser = commands.add_parser(
        "top",
        help="watch workers, graphics cards, queues and sessions",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--once", action="store_true", help="print one picture and end")
    parser.add_argument("--interval", type=float, default=2.0, metavar="S", help="seconds between")
    config.add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    settings = config.from_arguments(arguments)
    before: Seen | None = None
    while True:
        seen = _look(settings)
        if arguments.once:
            if not seen.statuses:
                raise StartupError(_nobody(settings))
            print(screen(seen), end="")
            return 0
        shown = screen(seen, before) if seen.statuses else _nobody(settings)
        print(CLEAR + shown, end="", flush=True)
        before = seen if seen.statuses else None
        # A command of its own process, without an event loop.
        time.sleep(max(0.1, arguments.interval))


def _look(settings: Config) -> Seen:
    directory = settings.bus.directory.absolute()
    statuses, metrics = [], []
    for gateway in _gateways(_running(settings, directory)):
        if status := readiness.status(gateway):
            statuses.append(status)
            metrics.append(readiness.metrics(gateway))
    placed: dict[str, int | None] = {}
    with contextlib.suppress(OSError, msgspec.DecodeError):
        placed = {worker.name: worker.gpu for worker in read_deployment(directory).workers}
    return Seen(tuple(statuses), tuple(metrics), gpus.present().gpus, placed)


def _running(settings: Config, directory: Path) -> Config:
    """Return the settings of the server in this directory; what was given, when none is there."""
    file = directory / programs.SETTINGS_NAME
    return config.load(file=str(file), environment={}) if file.is_file() else settings


def _gateways(settings: Config) -> Iterator[Gateway]:
    """Yield each gateway at the port that is its own."""
    own = settings.gateway
    if own.processes == 1:
        yield own
    for index in range(own.processes if own.processes > 1 else 0):
        yield msgspec.structs.replace(own, port=own.port + 1 + index)


def _nobody(settings: Config) -> str:
    return (
        f"no gateway answers; the runtime directory is {settings.bus.directory}: start the server "
        "with antiphon up, or name its directory with --set bus.runtime_dir=DIRECTORY"
    )
