"""`python -m antiphon_workers.measuring`: prints the figures of the configured engines as JSON."""

import argparse
import sys

import msgspec

from antiphon_proto import config, log
from antiphon_proto.errors import AntiphonError
from antiphon_workers.measuring.engines import measure
from antiphon_workers.process import wait_asleep


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m antiphon_workers.measuring",
        description="Load each engine of the configuration alone, measure how long it takes by "
        "the number of jobs it holds, and print that as JSON; `antiphon plan` runs this.",
    )
    config.add_arguments(parser)
    wait_asleep()
    try:
        settings = config.from_arguments(parser.parse_args())
        log.configure("measuring", "WARNING")
        figures = measure(settings, _tell)
    except AntiphonError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(figures)).decode() + "\n")
    return 0


def _tell(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
