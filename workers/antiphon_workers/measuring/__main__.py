"""`python -m antiphon_workers.measuring`: prints the figures of the configured engines as JSON."""

import argparse
import sys
from pathlib import Path

import msgspec

from antiphon_proto import config, log
from antiphon_proto.audio import write_wav
from antiphon_proto.errors import AntiphonError
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ
from antiphon_workers.measuring.engines import measure
from antiphon_workers.process import wait_asleep


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m antiphon_workers.measuring",
        description="Load each engine of the configuration alone, measure how long it takes by "
        "the number of jobs it holds, and print that as JSON; `antiphon plan` runs this.",
    )
    parser.add_argument("--speech", type=Path, metavar="FILE", help="keep what the voice said: WAV")
    config.add_arguments(parser)
    wait_asleep()
    try:
        arguments = parser.parse_args()
        settings = config.from_arguments(arguments)
        log.configure("measuring", "WARNING")
        figures, speech = measure(settings, _tell)
        if arguments.speech:
            write_wav(arguments.speech, speech, STT_SAMPLE_RATE_HZ)
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
