"""`antiphon doctor`: find out why a server does not work here."""

import argparse

from antiphon import doctor_checks
from antiphon_proto import config

DESCRIPTION = """\
Check what a server needs on this machine: Python, packages, models, port, audio, runtime
directory, disk, memory. Every line is ok, warn or FAIL, with what mends it. The exit code is 1 when
one fails.

  antiphon doctor
  antiphon doctor --deep                        also check every model file's sha256
  antiphon doctor --config antiphon.toml        check what this configuration needs
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `antiphon doctor`."""
    parser = commands.add_parser(
        "doctor",
        help="find out why something does not work",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--deep", action="store_true", help="check the sha256 of model files")
    config.add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    settings = config.from_arguments(arguments)
    failed = False
    for check in doctor_checks.all_checks(settings, deep=arguments.deep):
        failed |= check.level == "FAIL"
        fix = f"\n        {check.fix}" if check.fix else ""
        print(f"{check.level:>4}  {check.text}{fix}")
    return 1 if failed else 0
