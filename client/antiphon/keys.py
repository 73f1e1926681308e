"""`antiphon keys`: who may connect when the processes run on several machines."""

import argparse
from pathlib import Path

from antiphon import topology_file
from antiphon_proto import addresses, config, curve
from antiphon_proto.config import Config
from antiphon_proto.errors import ConfigurationError

DESCRIPTION = """\
Keys of the processes, for bus.address=tcp://... beyond this machine. Each process has a pair of
keys. bus.key_dir holds the pairs of those that run here and the public keys of the others; who is
not in it cannot connect.

  antiphon keys make                make the missing pairs of all processes, show public keys
  antiphon keys make stt-1          make the pair of one process, on the machine that it runs on
  antiphon keys allow stt-1 KEY     let that process connect, on the machines that it talks to
  antiphon keys list                show who may connect
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `antiphon keys`."""
    parser = commands.add_parser(
        "keys",
        help="say which processes of other machines may connect",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, run, text in (
        ("make", _make, "make pairs of keys that are missing"),
        ("allow", _allow, "let a process of another machine connect"),
        ("list", _list, "show the public keys of those that may connect"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        config.add_arguments(action)
        action.set_defaults(run=run)
        if name == "make":
            action.add_argument("names", nargs="*", metavar="NAME", help="default: all processes")
        if name == "allow":
            action.add_argument("name", metavar="NAME", help="for example stt-1")
            action.add_argument("key", metavar="KEY", help="its public key, as `make` showed it")


def _make(arguments: argparse.Namespace) -> int:
    settings, _ = topology_file.settled(config.from_arguments(arguments))
    directory = _directory(settings)
    for name in arguments.names or addresses.process_names(settings):
        print(f"{name}  {curve.make(directory, name).decode()}")
    return 0


def _allow(arguments: argparse.Namespace) -> int:
    directory = _directory(config.from_arguments(arguments))
    curve.allow(directory, arguments.name, arguments.key)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    for name, key in curve.known(_directory(config.from_arguments(arguments))).items():
        print(f"{name}  {key.decode()}")
    return 0


def _directory(settings: Config) -> Path:
    if not settings.bus.key_dir:
        raise ConfigurationError(
            "bus.key_dir is empty; name a directory, for example "
            "--set bus.key_dir=~/.config/antiphon/keys"
        )
    return Path(settings.bus.key_dir).expanduser()
