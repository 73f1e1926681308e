"""Jobs of sessions to workers and their results back: credits, ledger, re-issue."""

from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.dispatcher import DeliverResult, Dispatcher
from antiphon_gateway.dispatch.readiness import StageReadiness, WorkerReadiness
from antiphon_gateway.dispatch.request import Request

__all__ = [
    "Counters",
    "DeliverResult",
    "Dispatcher",
    "Request",
    "StageReadiness",
    "WorkerReadiness",
]
