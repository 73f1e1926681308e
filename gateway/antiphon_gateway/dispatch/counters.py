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
    "malformed": ("unknown",),
}
"""The stages that messages dropped for each reason may be of."""


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

    def drop(self, reason: Reason, stage: Stage | Literal["unknown"] = "unknown") -> None:
        """A message was dropped."""
        self.dropped[reason, stage] += 1
        setattr(self, reason, getattr(self, reason) + 1)

    def of_pool(self) -> dict[str, int]:
        """Return what gateways take over from a dispatcher process."""
        ignored = {_ignored(stage): self.dropped["ignored_heartbeats", stage] for stage in STAGES}
        return {name: getattr(self, name) for name in POOL_COUNTERS} | ignored

    def take(self, counts: Mapping[str, int]) -> None:
        """Take over what a dispatcher process has counted."""
        for name in POOL_COUNTERS:
            setattr(self, name, counts.get(name, 0))
        for stage in STAGES:
            self.dropped["ignored_heartbeats", stage] = counts.get(_ignored(stage), 0)


POOL_COUNTERS = (
    "refused",
    "high_water_hits",
    "workers_lost",
    "tries_lost",
    "stuck",
    "stale_cancels",
    "ignored_heartbeats",
)
"""What is counted where the workers are."""


def _ignored(stage: Stage) -> str:
    return f"ignored_heartbeats.{stage}"
