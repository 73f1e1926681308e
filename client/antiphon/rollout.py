"""Changes what a running server runs: what is new joins before anything leaves."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import msgspec

from antiphon import programs, readiness, runtime_dir
from antiphon.log_files import last_error
from antiphon.placement import Deployment, applied
from antiphon.stop_requests import StopRequests
from antiphon.supervisor_link import LINKS, read_deployment
from antiphon.up import EXIT_CANNOT_START, MAX_ENDS_WHILE_STARTING
from antiphon_proto import config, curve
from antiphon_proto.config import Config
from antiphon_proto.errors import ConfigurationError, StartupError

JOIN_WAIT_S = 600.0
"""Longer than a large model takes to load."""
LEAVE_WAIT_S = programs.WORKER_STOP_WAIT_S + 10.0
LOADING_TOLD_S = 10.0
"""Between two lines that say that a worker is still loading."""
_POLL_S = 0.2


class Stopped(Exception):
    """Raised when a person wanted no more of it; the text says what was done about it."""


def running(directory: Path) -> tuple[Config, Deployment]:
    """Return what the server of a directory was told at its start, or last."""
    try:
        deployment = read_deployment(directory)
    except (OSError, msgspec.DecodeError) as exc:
        raise StartupError(
            f"the server in {directory} has not said yet what it runs; try again once it is ready"
        ) from exc
    file = directory / programs.SETTINGS_NAME
    return config.load(file=str(file), environment={}), deployment


def check_keys(settings: Config, deployment: Deployment) -> None:
    """Raise ConfigurationError when a worker has no key and must have one.

    Gateways read the keys at their start, so such a worker is never let in.
    """
    if not settings.bus.key_dir:
        return
    known = curve.known(Path(settings.bus.key_dir).expanduser())
    for worker in deployment.workers:
        if worker.name not in known:
            raise ConfigurationError(
                f"{worker.name} has no key, and keys are read at the start; run: "
                f"antiphon keys make {worker.name}, and start the server again"
            )


class Rollout:
    """Changes of what one server runs.

    A request to stop takes back what is joining. What is leaving was asked to go, and is waited for
    until a second request.
    """

    def __init__(
        self,
        settings: Config,
        directory: Path,
        bin_dir: Path,
        requests: StopRequests,
        progress: TextIO,
    ) -> None:
        """`settings` are those of the server; what happens is told to `progress`."""
        self._settings = settings
        self._progress = progress
        self._directory = directory
        self._link = LINKS[settings.supervision.supervisor](directory, bin_dir)
        self._requests = requests
        self._heeded = 0

    def pids(self, names: Sequence[str]) -> list[int]:
        """Return the processes of workers, of those that run."""
        states = self._link.processes()
        return [states[name].pid for name in names if name in states and states[name].running]

    def change(self, before: Deployment, after: Deployment) -> None:
        """Raises StartupError when a new worker cannot start, and Stopped; then all is as it was,
        unless it was stopped a second time."""
        self._heeded = self._requests.count
        old, new = set(before.workers), set(after.workers)
        joining = [worker.name for worker in after.workers if worker not in old]
        leaving = [worker.name for worker in before.workers if worker not in new]
        if joining:
            try:
                self._join(_with(after, before), joining)
            except (StartupError, Stopped):
                self._leave(before, joining)
                raise
        if leaving:
            self._leave(after, leaving)

    def keep(self, settings: Config, deployment: Deployment) -> None:
        """Write down the settings for whatever is started from now on."""
        self._settings = settings
        self._configure(deployment)

    def _join(self, deployment: Deployment, names: Sequence[str]) -> None:
        self._configure(deployment)
        self._say(f"  {', '.join(names)}: loading")
        waiting = set(names)
        starts: dict[str, set[float]] = {name: set() for name in names}
        began_s = told_s = time.monotonic()

        def joined() -> bool:
            nonlocal told_s
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
            now_s = time.monotonic()
            for name in sorted(waiting & readiness.serving(self._settings.gateway)):
                self._say(f"  {name} has joined after {now_s - began_s:.1f} s")
                waiting.discard(name)
            if waiting and now_s - told_s >= LOADING_TOLD_S:
                told_s = now_s
                self._say(f"  {', '.join(sorted(waiting))}: loading, {now_s - began_s:.0f} s")
            return not waiting

        self._wait(joined, JOIN_WAIT_S, "did not become ready", waiting, self._heeded)

    def _leave(self, deployment: Deployment, names: Sequence[str]) -> None:
        self._configure(deployment)
        waiting = set(names)

        def left() -> bool:
            self._link.follow(deployment)
            states = self._link.processes()
            for name in sorted(waiting - states.keys()) if states else ():
                self._say(f"  {name} has left")
                waiting.discard(name)
            return not waiting

        self._wait(left, LEAVE_WAIT_S, "did not end", waiting, self._heeded + 1)

    def _say(self, text: str) -> None:
        print(text, file=self._progress)

    def _configure(self, deployment: Deployment) -> None:
        self._link.configure(applied(self._settings, deployment), deployment)

    def _wait(
        self,
        done: Callable[[], bool],
        limit_s: float,
        failure: str,
        waiting: set[str],
        heeded: int,
    ) -> None:
        """Wait until it is done; `heeded`: so many requests to stop are no reason to end it."""
        deadline_s = time.monotonic() + limit_s
        while not done():
            names = ", ".join(sorted(waiting))
            if runtime_dir.owner(self._directory) is None:
                raise StartupError("the server was stopped meanwhile")
            if self._requests.count > heeded:
                raise Stopped(f"stopped while {names} was waited for")
            if time.monotonic() > deadline_s:
                raise StartupError(
                    f"{names} {failure} within {limit_s:g} s; see the logs in "
                    f"{self._directory / 'logs'}"
                )
            time.sleep(_POLL_S)  # a command of its own process, without an event loop


def _with(deployment: Deployment, other: Deployment) -> Deployment:
    """Return a deployment with the workers of both."""
    workers = dict.fromkeys((*other.workers, *deployment.workers))
    return msgspec.structs.replace(deployment, workers=tuple(workers))
