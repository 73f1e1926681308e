"""Messages that are none: counted, and now and then logged."""

import logging

from antiphon_gateway.dispatch.counters import Counters
from antiphon_proto.errors import MalformedMessage

LOG_INTERVAL = 1_000
"""One log line for so many malformed messages."""

logger = logging.getLogger(__name__)


class MalformedLog:
    """Counts them for a process."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def count(self, channel: str, error: MalformedMessage) -> None:
        """Count one that came on `channel`."""
        count = self._counters.malformed
        self._counters.drop("malformed")
        if count % LOG_INTERVAL == 0:
            logger.warning(
                "malformed message dropped",
                extra={"channel": channel, "error": str(error), "dropped": count + 1},
            )
