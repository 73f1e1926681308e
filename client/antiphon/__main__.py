"""The `antiphon` command: finds the subcommand, runs it, shows its errors as one line."""

import argparse
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence

from antiphon_proto import __version__
from antiphon_proto.errors import AntiphonError

COMMANDS = (
    "up",
    "talk",
    "chat",
    "doctor",
    "models",
    "config",
    "keys",
    "topology",
    "scale",
    "top",
    "plan",
)
"""Modules of this package. Each has `register(commands)`, which adds its parser with a default
`run`: a function of the parsed arguments that returns the exit code."""

DESCRIPTION = """\
Talk with an AI on your own machine.

  antiphon models pull   fetch the speech and language models (about 240 MB, once)
  antiphon up            start the server, then open http://localhost:8080
  antiphon talk FILE     say a recording to the server, hear its reply
  antiphon chat          write to the server
  antiphon doctor        find out why something does not work
"""

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class Terminated(BaseException):
    """Raised in the main thread on SIGTERM, so that everything is cleaned up on the way out."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 2 when it cannot be done, 130 on Ctrl-C."""
    signal.signal(signal.SIGTERM, _raise_terminated)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # progress is seen through a pipe as well
    try:
        arguments = parser().parse_args(argv)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except AntiphonError as exc:
        print(f"antiphon: {exc}", file=sys.stderr)
        return EXIT_ERROR
    except BrokenPipeError:
        # The reader of a pipe has gone; keep the interpreter's last flush from failing on it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("\nantiphon: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Terminated:
        return EXIT_TERMINATED
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    root = argparse.ArgumentParser(
        prog="antiphon",
        description=DESCRIPTION,
        epilog="`antiphon COMMAND --help` explains one command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"antiphon {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"antiphon.{name}").register(commands)
    return root


def _raise_terminated(signum: int, frame: object) -> None:
    raise Terminated


if __name__ == "__main__":
    sys.exit(main())
