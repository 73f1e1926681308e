"""`antiphon scale`: more or fewer workers of a server that runs, without losing a turn."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from antiphon import programs, readiness, runtime_dir
from antiphon.change_lock import alone
from antiphon.log_files import last_error
from antiphon.placement import Deployment, applied, scaled
from antiphon.supervisor_link import LINKS, read_deployment
from antiphon.up import EXIT_CANNOT_START, MAX_ENDS_WHILE_STARTING
from antiphon_proto import config, curve
from antiphon_proto.config import Config
from antiphon_proto.errors import ConfigurationError, StartupError
from antiphon_proto.messages import STAGES, Stage

DESCRIPTION = """\
Change how many workers of a stage a running server has, and wait until it is so. New workers join
when they have loaded; those that go take no new jobs, finish what they hold and end.

  antiphon scale stt=3
  antiphon scale stt=2 tts=4
  antiphon scale stt=3 --set bus.runtime_dir=/run/antiphon

The next start has again what its configuration says.
"""

JOIN_WAIT_S = 600.0
"""Longer than a large model takes to load."""
LEAVE_WAIT_S = programs.WORKER_STOP_WAIT_S + 10.0
_POLL_S = 0.2


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `antiphon scale`."""
    parser = commands.add_parser(
        "scale",
        help="change the number of workers while the server runs",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("counts", nargs="+", metavar="STAGE=N", help="for example stt=3")
    config.add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    counts = _counts(arguments.counts)
    directory = config.from_arguments(arguments).bus.directory.absolute()
    if runtime_dir.owner(directory) is None:
        raise StartupError(f"no server runs in {directory}; start one: antiphon up")
    with alone(directory):
        settings, before = _running(directory)
        after = scaled(before, counts)
        _check_keys(settings, after)
        Scaling(settings, directory, Path(sys.executable).parent).change(before, after)
    return 0


def _running(directory: Path) -> tuple[Config, Deployment]:
    """Return what the server of a directory was told at its start, or last."""
    try:
        before = read_deployment(directory)
    except (OSError, msgspec.DecodeError) as exc:
        raise StartupError(
            f"the server in {directory} has not said yet what it runs; try again once it is ready"
        ) from exc
    file = directory / programs.SETTINGS_NAME
    return config.load(file=str(file), environment={}), before


class Scaling:
    """One change of what runs: what is new joins before anything leaves."""

    def __init__(self, settings: Config, directory: Path, bin_dir: Path) -> None:
        self._settings = settings
        self._directory = directory
        self._link = LINKS[settings.supervision.supervisor](directory, bin_dir)

    def change(self, before: Deployment, after: Deployment) -> None:
        """Raises StartupError when a new worker cannot start; then all is as it was."""
        old, new = set(before.workers), set(after.workers)
        joining = [worker.name for worker in after.workers if worker not in old]
        leaving = [worker.name for worker in before.workers if worker not in new]
        if joining:
            try:
                self._join(_with(after, before), joining)
            except StartupError:
                self._leave(before, joining)
                raise
        if leaving:
            self._leave(after, leaving)
        for stage in STAGES:
            print(f"{stage}: {', '.join(worker.name for worker in after.of(stage))}")

    def _join(self, deployment: Deployment, names: Sequence[str]) -> None:
        self._configure(deployment)
        waiting = set(names)
        starts: dict[str, set[float]] = {name: set() for name in names}

        def joined() -> bool:
            self._link.follow(deployment)
            states = self._link.processes()
            for name in waiting & states.keys():
                state = states[name]
                starts[name].add(state.started)
                hopeless = state.exit_code == EXIT_CANNOT_START
                if hopeless or len(starts[name]) > MAX_ENDS_WHILE_STARTING:
                    log = programs.log_file(self._directory, name)
                    reason = last_error(log) or "it gave no reason"
                    raise StartupError(f"{name} cannot start: {reason} (its log: {log})")
            for name in sorted(waiting & readiness.serving(self._settings.gateway)):
                print(f"  {name} has joined")
                waiting.discard(name)
            return not waiting

        self._wait(joined, JOIN_WAIT_S, "did not become ready", waiting)

    def _leave(self, deployment: Deployment, names: Sequence[str]) -> None:
        self._configure(deployment)
        waiting = set(names)

        def left() -> bool:
            self._link.follow(deployment)
            states = self._link.processes()
            for name in sorted(waiting - states.keys()) if states else ():
                print(f"  {name} has left")
                waiting.discard(name)
            return not waiting

        self._wait(left, LEAVE_WAIT_S, "did not end", waiting)

    def _configure(self, deployment: Deployment) -> None:
        self._link.configure(applied(self._settings, deployment), deployment)

    def _wait(
        self, done: Callable[[], bool], limit_s: float, failure: str, waiting: set[str]
    ) -> None:
        deadline_s = time.monotonic() + limit_s
        while not done():
            if runtime_dir.owner(self._directory) is None:
                raise StartupError("the server was stopped meanwhile")
            if time.monotonic() > deadline_s:
                names = ", ".join(sorted(waiting))
                raise StartupError(
                    f"{names} {failure} within {limit_s:g} s; see the logs in "
                    f"{self._directory / 'logs'}"
                )
            time.sleep(_POLL_S)


def _with(deployment: Deployment, other: Deployment) -> Deployment:
    """Return a deployment with the workers of both."""
    workers = dict.fromkeys((*other.workers, *deployment.workers))
    return Deployment(
        groups=deployment.groups,
        workers=tuple(workers),
        gpus=deployment.gpus,
        pinned=deployment.pinned,
    )


def _counts(words: Sequence[str]) -> dict[Stage, int]:
    stages: dict[str, Stage] = {stage: stage for stage in STAGES}
    counts: dict[Stage, int] = {}
    for word in words:
        name, _, count = word.partition("=")
        if name not in stages or not count.isdecimal():
            raise ConfigurationError(
                f"{word!r} is not STAGE=N, for example stt=3; stages are {', '.join(STAGES)}"
            )
        counts[stages[name]] = int(count)
    return counts


def _check_keys(settings: Config, deployment: Deployment) -> None:
    """Gateways read the keys at their start, so a worker without one is never let in."""
    if not settings.bus.key_dir:
        return
    known = curve.known(Path(settings.bus.key_dir).expanduser())
    for worker in deployment.workers:
        if worker.name not in known:
            raise ConfigurationError(
                f"{worker.name} has no key, and keys are read at the start; run: "
                f"antiphon keys make {worker.name}, and start the server again"
            )
