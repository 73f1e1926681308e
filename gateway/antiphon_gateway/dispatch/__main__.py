"""The command `antiphon-dispatcher`."""

import argparse
import sys

from antiphon_gateway.dispatch import process
from antiphon_proto import config as configuration
from antiphon_proto import log, process_limits
from antiphon_proto.errors import AntiphonError, ConfigurationError


def main() -> int:
    """Run the dispatcher; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="antiphon-dispatcher",
        description="The process through which several gateways share workers; set "
        "bus.dispatcher=process for all of them. It may be killed and started again at any time: "
        "gateways and workers tell it again what they do. `antiphon up` starts it when it is set.",
    )
    configuration.add_arguments(parser)
    arguments = parser.parse_args()
    process_limits.forbid_core_dumps()
    try:
        config = configuration.from_arguments(arguments)
        if config.bus.dispatcher != "process":
            raise ConfigurationError(
                "bus.dispatcher is embedded: the gateway has a dispatcher of its own; "
                "set bus.dispatcher=process for the gateways, the workers and this"
            )
        log.configure(config.hub, config.log.level)
        process.run(config)
    except AntiphonError as error:
        print(f"antiphon-dispatcher: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
