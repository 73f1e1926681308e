"""`antiphon scale`: more or fewer workers of a server that runs, without losing a turn."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from antiphon import rollout, room, runtime_dir
from antiphon.change_lock import alone
from antiphon.placement import Deployment, scaled
from antiphon.rollout import Rollout
from antiphon.stop_requests import StopRequests
from antiphon_proto import config
from antiphon_proto.errors import ConfigurationError, StartupError
from antiphon_proto.messages import STAGES, Stage

DESCRIPTION = """\
Change how many workers of a stage a running server has, and wait until it is so. New workers join
when they have loaded; those that go take no new jobs, finish what they hold and end.

  antiphon scale stt=3
  antiphon scale stt=2 tts=4
  antiphon scale stt=3 --set bus.runtime_dir=/run/antiphon

Ctrl-C takes back workers that have not joined yet; those that leave finish what they hold all the
same. The next start has again what its configuration says.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `antiphon scale`."""
    parser = commands.add_parser(
        "scale",
        help="change the number of workers while the server runs",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("counts", nargs="+", metavar="STAGE=N", help="for example stt=3")
    parser.add_argument("--ignore-memory", action="store_true", help=room.IGNORE_HELP)
    config.add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    counts = _counts(arguments.counts)
    directory = config.from_arguments(arguments).bus.directory.absolute()
    if runtime_dir.owner(directory) is None:
        raise StartupError(f"no server runs in {directory}; start one: antiphon up")
    with alone(directory):
        settings, before = rollout.running(directory)
        after = scaled(before, counts)
        rollout.check_keys(settings, after)
        requests = StopRequests()
        course = Rollout(settings, directory, Path(sys.executable).parent, requests, sys.stdout)
        if not arguments.ignore_memory:
            _check_room(course, before, after)
        try:
            course.change(before, after)
        except rollout.Stopped as exc:
            print(f"antiphon: {exc}", file=sys.stderr)
            return 128 + requests.last_signal
    for stage in STAGES:
        print(f"{stage}: {', '.join(worker.name for worker in after.of(stage))}")
    return 0


def _check_room(course: Rollout, before: Deployment, after: Deployment) -> None:
    """Raise StartupError when main memory has no room for what is new, by what runs."""
    needs, names = [], []
    for stage in STAGES:
        old = [worker.name for worker in before.of(stage)]
        more = [worker.name for worker in after.of(stage) if worker.name not in old]
        largest = max(room.resident(course.pids(old)), default=room.PROCESS_BYTES)
        needs += [largest] * len(more)
        names += more
    room.check(needs, " and ".join(names))


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
