"""`antiphon up`."""

import argparse

from antiphon_proto import config


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `antiphon up`."""
    parser = commands.add_parser("up")
    config.add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    print(config.from_arguments(arguments))
    return 0
