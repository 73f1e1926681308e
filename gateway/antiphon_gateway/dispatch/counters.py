"""What happened so far, for metrics."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from antiphon_proto.messages import STAGES, Stage

Reason = Literal["fenced", "ignored_heartbeats", "malformed"]
"""Why a message between processes was dropped."""
DROPPED: dict[Reason, tuple[Stage | Literal["unknown"], ...]] = {
    "fenced": (*STAGES, "unknown"),
    "ignored_heartbeats": STAGES,
    "malformed": (*STAGES, "unknown"),
}
"""The stages that messages dropped for each reason may be of; of malformed ones, that of the worker
which dropped them."""


@dataclass(slots=True)
class Counters:
    """Events since the process started."""

    submitted: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    reissued: int = 0
    """Attempts given up and made again, whatever the cause."""
    superseded: int = 0
    overloaded: int = 0
    expired: int = 0
    poisoned: int = 0
    refused: int = 0
    fenced: int = 0
    """Results dropped because their job or attempt is no longer current."""
    broken_streams: int = 0
    """Attempts given up because a result was missing or did not fit its job."""
    high_water_hits: int = 0
    """Sends that met a full pipe or no peer."""
    workers_lost: int = 0
    tries_lost: int = 0
    """Tries that came to nothing because their worker was lost or stuck."""
    stuck: int = 0
    stale_cancels: int = 0
    """Jobs that a heartbeat named and nobody waits for."""
    ignored_heartbeats: int = 0
    """Heartbeats of a replaced incarnation, of one worker too many, or out of range."""
    malformed: int = 0
    """Messages dropped because they are not messages of their channel."""
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Messages dropped, by reason and stage."""
    taken: Mapping[str, int] = field(default_factory=dict)
    """What a dispatcher process had counted when it last told."""

    def drop(
        self, reason: Reason, stage: Stage | Literal["unknown"] = "unknown", count: int = 1
    ) -> None:
        """So many messages were dropped."""
        self.dropped[reason, stage] += count
        setattr(self, reason, getattr(self, reason) + count)

    def of_pool(self) -> dict[str, int]:
        """Return what a dispatcher process tells the gateways."""
        dropped = {name: self.dropped[key] for name, key in _POOL_DROPPED.items()}
        return {name: getattr(self, name) for name in POOL_COUNTERS} | dropped

    def take(self, counts: Mapping[str, int], *, restarted: bool) -> None:
        """Add what a dispatcher process has counted since it last told, or since its restart."""
        before = {} if restarted else self.taken
        self.taken = counts
        for name in POOL_COUNTERS:
            told = counts.get(name, 0) - before.get(name, 0)
            setattr(self, name, getattr(self, name) + told)
        for name, key in _POOL_DROPPED.items():
            self.dropped[key] += counts.get(name, 0) - before.get(name, 0)


POOL_COUNTERS = (
    "refused",
    "high_water_hits",
    "workers_lost",
    "tries_lost",
    "stuck",
    "stale_cancels",
    "ignored_heartbeats",
    "malformed",
)
"""What is counted where the workers are; a gateway counts malformed messages of its own too."""
_POOL_DROPPED: dict[str, tuple[Reason, str]] = {
    f"{reason}.{stage}": (reason, stage)
    for reason, stages in DROPPED.items()
    if reason in POOL_COUNTERS
    for stage in stages
}
