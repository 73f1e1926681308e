"""Jobs of sessions to workers and their results back: credits, ledger, re-issue."""

from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.dispatcher import DeliverResult, Dispatcher
from antiphon_gateway.dispatch.embedded import EmbeddedDispatcher
from antiphon_gateway.dispatch.observer import JobObserver
from antiphon_gateway.dispatch.remote import RemoteDispatcher
from antiphon_gateway.dispatch.request import Request
from antiphon_proto.channel import Bus
from antiphon_proto.config import Config

__all__ = [
    "Counters",
    "DeliverResult",
    "Dispatcher",
    "EmbeddedDispatcher",
    "RemoteDispatcher",
    "Request",
    "create",
]


def create(
    bus: Bus, config: Config, gateway: str, observer: JobObserver | None = None
) -> Dispatcher:
    """Return the dispatcher of a gateway of this name, as `bus.dispatcher` says."""
    if config.bus.dispatcher == "process":
        return RemoteDispatcher(bus, gateway, config.hub, observer)
    return EmbeddedDispatcher(bus, gateway, observer)
