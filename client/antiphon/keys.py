"""`antiphon keys`: who may connect when the processes run on several machines."""

import argparse
import base64
import json
import re
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
  antiphon keys secrets             print the pairs that are here as Secrets for deploy/kubernetes;
                                    pipe it to `kubectl apply -f -`
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
        ("secrets", _secrets, "print all keys as Secrets of Kubernetes"),
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


def _secrets(arguments: argparse.Namespace) -> int:
    directory = _directory(config.from_arguments(arguments))
    print(json.dumps(secrets(directory), indent=1))
    return 0


def secrets(directory: Path) -> dict[str, object]:
    """Return a List of Secrets: the public keys, and for each role the pairs of its processes.

    Raises ConfigurationError when no pair is in the directory.
    """
    roles: dict[str, list[Path]] = {}
    for path in sorted(directory.glob("*.key_secret")):
        role = re.sub(r"-\d+$", "", path.stem)
        roles.setdefault(f"antiphon-keys-{role}", []).append(path)
    if not roles:
        raise ConfigurationError(f"{directory} holds no pair of keys; run: antiphon keys make")
    public = {"antiphon-public-keys": sorted(directory.glob("*.key"))}
    items = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "antiphon"}},
            "data": {path.name: base64.b64encode(path.read_bytes()).decode() for path in paths},
        }
        for name, paths in (public | roles).items()
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _directory(settings: Config) -> Path:
    if not settings.bus.key_dir:
        raise ConfigurationError(
            "bus.key_dir is empty; name a directory, for example "
            "--set bus.key_dir=~/.config/antiphon/keys"
        )
    return Path(settings.bus.key_dir).expanduser()
