"""`antiphon config`: print the configuration in effect."""

import argparse

from antiphon.config_example import example
from antiphon_proto import config

DESCRIPTION = """\
Print the configuration in effect, as TOML. API keys are masked.

  antiphon config > antiphon.toml               start a configuration file
  antiphon config --set gateway.port=9000       see what a flag changes
  antiphon config --example                     every setting's default, with its explanation

Settings come from, later ones win: defaults, the file of --config or $ANTIPHON_CONFIG, variables
such as ANTIPHON_GATEWAY__PORT, and --set.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `antiphon config`."""
    parser = commands.add_parser(
        "config",
        help="print the configuration in effect",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--example", action="store_true", help="print all defaults with their explanations"
    )
    config.add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.example:
        print(example(), end="")
    else:
        print(config.to_toml(config.from_arguments(arguments)), end="")
    return 0
