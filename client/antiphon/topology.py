"""`antiphon topology`: what runs where on this machine, checked, and rendered for supervisors."""

import argparse
import shlex
import sys
from pathlib import Path

from antiphon import rendered, topology_file
from antiphon.placement import Deployment, applied, used_cards
from antiphon_proto import config, gpus
from antiphon_proto.config import Config
from antiphon_proto.errors import ConfigurationError

DESCRIPTION = """\
Show which workers run on which graphics cards, by the file that supervision.topology names, or by
STAGE.processes without one. A file that does not fit this machine is refused with the reason.

  antiphon topology check topology.toml
  antiphon topology render topology.toml --procfile > Procfile
  antiphon topology render topology.toml --supervisor > supervisord.conf

For another machine, with what this command says there:

  """


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `antiphon topology`."""
    parser = commands.add_parser(
        "topology",
        help="show and render which workers run on which graphics cards",
        description=DESCRIPTION + shlex.join(gpus.QUERY) + " > cards.csv\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="show what runs where")
    check.set_defaults(run=_check)
    render = actions.add_parser("render", help="print a Procfile or supervisord's configuration")
    render.set_defaults(run=_render)
    form = render.add_mutually_exclusive_group(required=True)
    form.add_argument("--procfile", action="store_true", help="for `honcho start`")
    form.add_argument(
        "--supervisor", action="store_true", help="for supervisord; needs bus.runtime_dir/logs"
    )
    for action in (check, render):
        action.add_argument("file", nargs="?", help="same as --set supervision.topology=FILE")
        action.add_argument(
            "--cards", metavar="FILE", type=Path, help="what nvidia-smi says on the machine meant"
        )
        config.add_arguments(action)


def _settled(arguments: argparse.Namespace) -> tuple[Config, Deployment]:
    if arguments.file is not None:
        arguments.settings.append(f"supervision.topology={arguments.file}")
    settings = config.from_arguments(arguments)
    deployment = topology_file.deployed(
        settings, (lambda: _recorded(arguments.cards)) if arguments.cards else gpus.present
    )
    return applied(settings, deployment), deployment


def _recorded(path: Path) -> gpus.Cards:
    try:
        return gpus.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"cannot read {path}: {exc}") from exc


def _check(arguments: argparse.Namespace) -> int:
    _, deployment = _settled(arguments)
    for worker in deployment.workers:
        where = "processor" if worker.gpu is None else f"GPU {worker.gpu}"
        if not deployment.pinned:
            where = "anywhere"
        memory = deployment.memory_mib(worker)
        parts = [f"{worker.name:8} {where:10}", f"{memory} MiB" if memory else ""]
        print("  ".join(part for part in (*parts, *deployment.settings(worker)) if part).rstrip())
    for number in used_cards(deployment):
        card = deployment.card(number)
        asked = sum(map(deployment.memory_mib, deployment.on(number)))
        if card is not None:
            of = f"of {card.memory_mib} MiB" if card.memory_mib else "of memory of unknown size"
            print(f"GPU {number}: {card.name}, {asked} MiB {of} given away")
    return 0


def _render(arguments: argparse.Namespace) -> int:
    settings, deployment = _settled(arguments)
    flags = [f"--config={Path(arguments.config).absolute()}"] if arguments.config else []
    for setting in arguments.settings:
        if not setting.startswith("supervision."):  # workers and gateways do not read these
            flags += ["--set", setting]
    if arguments.procfile:
        print(rendered.procfile(settings, deployment, flags), end="")
    else:
        directory = settings.bus.directory.absolute()
        bin_dir = Path(sys.executable).parent
        print(rendered.supervisord(settings, deployment, directory, bin_dir, flags), end="")
    return 0
