"""Another engine or model in a running server: the new one serves before the old one goes."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from antiphon import programs, rollout, room
from antiphon.change_lock import alone
from antiphon.exchange import Exchange
from antiphon.models_use import Choice
from antiphon.placement import Deployment
from antiphon.rollout import Rollout, Stopped
from antiphon.stop_requests import StopRequests
from antiphon.topology_file import settings_fault
from antiphon_proto import config
from antiphon_proto.config import Config
from antiphon_proto.errors import ConfigurationError, StartupError


def swap(
    choice: Choice,
    directory: Path,
    requests: StopRequests,
    progress: TextIO,
    *,
    ignore_memory: bool = False,
) -> None:
    """Swap what a stage runs in the server of a runtime directory.

    Worker by worker the new one loads and takes jobs, then an old one finishes what it holds and
    ends. Raises StartupError when a new one cannot start, or has no room in main memory unless
    `ignore_memory`, and Stopped; then the stage runs what it ran before, unless the text says
    otherwise.
    """
    with alone(directory):
        running, before = rollout.running(directory)
        file = str(directory / programs.SETTINGS_NAME)
        wanted = config.load(file=file, environment={}, settings=choice.flags)
        exchange = Exchange(before, choice.stage, choice.changes)
        for group in exchange.groups:
            if fault := settings_fault(running, group):
                raise ConfigurationError(f"{choice.stage} cannot run {choice.model} here: {fault}")
        steps = exchange.steps()
        for step in steps:
            rollout.check_keys(running, step)
        course = Rollout(running, directory, Path(sys.executable).parent, requests, progress)
        if not ignore_memory:
            old = [worker.name for worker in before.of(choice.stage)]
            takes = needs(room.resident(course.pids(old)), choice, running)
            room.check(takes, f"{choice.model} while the old one serves")
        try:
            _walk(course, before, steps, exchange)
        except StartupError as exc:
            raise StartupError(f"{choice.model} cannot be used: {exc}") from exc
        course.keep(wanted, steps[-1])


def needs(old_bytes: Sequence[int], choice: Choice, running: Config) -> list[int]:
    """Return what the new workers take in the moment when they take most: the last of them has
    loaded, and one old one is left."""
    largest = max(old_bytes, default=room.PROCESS_BYTES)
    same = choice.model == running.stage(choice.stage).model
    new = None if same else room.of_model(choice.model, running)
    growth = max(0, (new or largest) - largest)
    return [new or largest, *[growth] * (len(old_bytes) - 1)]


def _walk(course: Rollout, before: Deployment, steps: list[Deployment], exchange: Exchange) -> None:
    """Go all steps, or back to where they began."""
    reached = before
    try:
        for step in steps:
            course.change(reached, step)
            reached = step
    except (StartupError, Stopped) as exc:
        try:
            for step in exchange.way_back(reached):
                course.change(reached, step)
                reached = step
        except (StartupError, Stopped) as worse:
            raise type(worse)(
                f"{exc}; on the way back {worse}; old and new are in use now, run the command again"
            ) from exc
        raise type(exc)(f"{exc}; {exchange.stage} goes on as before") from exc
