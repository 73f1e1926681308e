"""The command `antiphon-gateway`."""

import argparse
import gc
import sys

from antiphon_proto import config as configuration
from antiphon_proto import log, process_limits
from antiphon_proto.errors import AntiphonError


def main() -> int:
    """Run the gateway; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="antiphon-gateway",
        description="The process that clients connect to: WebSocket sessions on one side, "
        "speech and language workers on the other. `antiphon up` starts it with its workers.",
    )
    parser.add_argument(
        "--index",
        type=int,
        default=0,
        metavar="N",
        help="number of this gateway among gateway.processes of them",
    )
    parser.add_argument(
        "--behind-proxy", action="store_true", help="same as --set gateway.behind_proxy=true"
    )
    configuration.add_arguments(parser)
    arguments = parser.parse_args()
    if arguments.behind_proxy:
        arguments.settings.append("gateway.behind_proxy=true")
    process_limits.forbid_core_dumps()
    try:
        config = configuration.as_gateway(configuration.from_arguments(arguments), arguments.index)
        log.configure("gateway", config.log.level)
        # The collector's looks at what is being loaded are a tenth of a start.
        gc.disable()
        from antiphon_gateway import server

        server.run(config)
    except AntiphonError as error:
        print(f"antiphon-gateway: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
