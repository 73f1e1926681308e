"""Messages that are none: counted, and now and then logged."""

import logging

from antiphon_gateway.dispatch.counters import Counters
from antiphon_proto.errors import MalformedMessage

LOG_INTERVAL = 1_000
"""One log line for so many malformed messages."""

logger = logging.getLogger(__name__)


class MalformedLog:
    """Counts those that arrive at some sockets of this process."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._dropped = 0

    def count(self, channel: str, error: MalformedMessage) -> None:
        """Count one that came on `channel`."""
        self._counters.drop("malformed")
        self._dropped += 1
        if self._dropped % LOG_INTERVAL == 1:
            logger.warning(
                "malformed message dropped",
                extra={"channel": channel, "error": str(error), "dropped": self._dropped},
            )
