"""`antiphon plan`: how many conversations machines hold, measured here or from a file."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from antiphon import plan_figures, topology_file
from antiphon.placement import (
    MOST_WORKERS,
    Deployment,
    Group,
    placed,
    setting_text,
    unpinned,
)
from antiphon.plan_programs import ask
from antiphon.plan_view import picture
from antiphon_proto import config
from antiphon_proto.config import Config
from antiphon_proto.errors import ConfigurationError
from antiphon_proto.messages import STAGES, Stage
from antiphon_proto.planning import Conversation, Figures, Machines, Plan, Question

DESCRIPTION = """\
Say how many conversations are answered in time, which part limits them, and what more of it buys.
The engines of the configuration, and a gateway, are measured on this machine (stop the server
first); then people talk with the server's own scheduler in simulated time.

  antiphon plan                                   measure, then plan for this machine
  antiphon plan --measure figures.json            the same, and keep what was measured
  antiphon plan --from figures.json --p95-ms 800  plan from what was measured, here or elsewhere
  antiphon plan --from figures.json --set tts.processes=2
  antiphon plan --from figures.json --topology topology.toml
  antiphon plan --from h200.json --gpus 8 --hosts 100 --conversations 100000

With --gpus every card carries one worker of one stage, and the cards are dealt to the stages by how
much each has to do: measure on such a card. A host of several is a pool of its own, with gateways
and a dispatcher of its own; --pool-hosts N has so many share one, over the network.
"""

PLANNING = "antiphon_gateway.planning"
LEAST_CARDS = len(STAGES)


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `antiphon plan`."""
    parser = commands.add_parser(
        "plan",
        help="say how many conversations this machine or others hold",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--measure", nargs="?", const="", metavar="FILE", help="measure (the default); keep it"
    )
    source.add_argument("--from", dest="file", metavar="FILE", help="take what was measured before")
    parser.add_argument(
        "--p95-ms", type=_amount, default=1_000.0, help="the bar: 95 of 100 answers begin within it"
    )
    parser.add_argument(
        "--gaps", type=_percent, default=5.0, metavar="PERCENT", help="of the answers, at most; 5"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--topology", metavar="FILE", help="the workers of each host are those")
    where.add_argument("--gpus", type=_count, metavar="N", help="cards of each host")
    parser.add_argument("--hosts", type=_count, default=1, metavar="N", help="hosts that are alike")
    parser.add_argument("--pool-hosts", type=_count, default=1, metavar="N", help="of each pool")
    parser.add_argument("--cores", type=_count, metavar="N", help="of each host; as measured")
    parser.add_argument("--conversations", type=_count, default=0, metavar="N", help="are N held?")
    parser.add_argument("--seed", type=int, default=1, help="of what people are drawn to do")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    config.add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    groups = topology_file.read(Path(arguments.topology)) if arguments.topology else ()
    arguments.settings += _settings_of(groups, arguments.topology)
    settings = config.from_arguments(arguments)
    machines = _machines(arguments, settings, groups)
    figures = _figures(arguments, settings)
    cores = (arguments.cores or figures.cores) * arguments.pool_hosts
    question = Question(
        figures=_with_slots(figures, arguments.settings, settings),
        machines=msgspec.structs.replace(machines, cores=cores),
        conversation=conversation(settings),
        p95_ms=arguments.p95_ms,
        most_gaps=arguments.gaps / 100,
        conversations=arguments.conversations,
        seed=arguments.seed,
    )
    answer = ask(PLANNING, (), msgspec.json.encode(question), Plan)
    print(msgspec.json.encode(answer).decode() if arguments.json else picture(question, answer))
    return 0


def _figures(arguments: argparse.Namespace, settings: Config) -> Figures:
    if arguments.file:
        return plan_figures.read(Path(arguments.file))
    flags = [f"--config={Path(arguments.config).absolute()}"] if arguments.config else []
    flags += [part for setting in arguments.settings for part in ("--set", setting)]
    figures = plan_figures.measured(settings, flags)
    if arguments.measure:
        plan_figures.keep(figures, Path(arguments.measure))
    return figures


def conversation(settings: Config) -> Conversation:
    """Return how people talk with a server of these settings."""
    taking = settings.turn_taking
    return Conversation(
        partial_interval_ms=taking.partial_interval_ms,
        speculation=taking.speculation,
        speculation_wait_ms=taking.speculation_wait_ms,
        first_clause_words=settings.tts.first_clause_words,
    )


def _machines(arguments: argparse.Namespace, settings: Config, groups: Sequence[Group]) -> Machines:
    """Return what is planned for; its cores are not known yet."""
    hosts, in_pool = arguments.hosts, arguments.pool_hosts
    if hosts % in_pool:
        raise ConfigurationError(f"{hosts} hosts make no pools of {in_pool}; change --pool-hosts")
    cards = (arguments.gpus or 0) * in_pool
    if arguments.gpus and cards < LEAST_CARDS:
        raise ConfigurationError(
            f"a pool has {cards} cards and needs {LEAST_CARDS}, one for each stage; to share a "
            "card between stages, describe it with --topology; to join hosts: --pool-hosts"
        )
    if groups:
        deployment = placed(Deployment(groups=tuple(groups), pinned=True))
    else:
        deployment = unpinned(settings)
    workers: dict[Stage, int] = {stage: in_pool * len(deployment.of(stage)) for stage in STAGES}
    if missing := [stage for stage, count in workers.items() if not count]:
        raise ConfigurationError(f"{arguments.topology}: no worker of {' and '.join(missing)}")
    if max(cards, sum(workers.values())) > MOST_WORKERS:
        raise ConfigurationError(
            f"a pool has {max(cards, sum(workers.values()))} workers, of which a dispatcher knows "
            f"{MOST_WORKERS}; lower --pool-hosts"
        )
    fleet = bool(arguments.gpus) or hosts > 1
    return Machines(
        workers={} if cards else workers,
        cards=cards,
        cores=1,
        gateways=0 if fleet else settings.gateway.processes,
        dispatchers=int(fleet or settings.bus.dispatcher == "process"),
        networked=in_pool > 1,
        pools=hosts // in_pool,
    )


def _settings_of(groups: Sequence[Group], file: str) -> list[str]:
    """Return what the workers of a topology differ in from the configuration, as `--set` has it."""
    changes: list[str] = []
    for stage in STAGES:
        ours = [group.changes for group in groups if group.stage == stage]
        if any(other != ours[0] for other in ours):
            raise ConfigurationError(
                f"{file}: the {stage} workers differ in slots or settings, and a plan takes those "
                "of a stage to be alike; plan each kind with a topology of its own"
            )
        for each in ours[:1]:
            changes += (f"{stage}.{key}={setting_text(value)}" for key, value in each.items())
    return changes


def _with_slots(figures: Figures, asked: Sequence[str], settings: Config) -> Figures:
    """Return figures of workers with the slots that were asked for."""
    keys = {text.partition("=")[0].strip() for text in asked}
    engines = {
        stage: msgspec.structs.replace(engine, slots=settings.stage(stage).slots)
        if f"{stage}.slots" in keys
        else engine
        for stage, engine in figures.engines.items()
    }
    return msgspec.structs.replace(figures, engines=engines)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 1")
    return int(text)


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = 0.0
    if not 0 < amount < 3_600_000:
        raise argparse.ArgumentTypeError(f"{text} is no time in milliseconds")
    return amount


def _percent(text: str) -> float:
    try:
        percent = float(text)
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise argparse.ArgumentTypeError(f"{text} is no percentage")
    return percent
