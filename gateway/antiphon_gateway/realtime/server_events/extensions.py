"""Server events that only clients with `antiphon.v1` get."""

import msgspec

from antiphon_gateway.realtime.server_events.base import ServerEvent
from antiphon_gateway.realtime.server_events.response import PartEvent


class AudioStarted(PartEvent, frozen=True, kw_only=True, tag="antiphon.audio.started"):
    """Which stream number of the binary audio frames carries this content part."""

    stream: int
    sample_rate_hz: int


class TranscriptPartial(ServerEvent, frozen=True, kw_only=True, tag="antiphon.transcript.partial"):
    """The user's words so far; `stable` only grows, `unstable` may change."""

    item_id: str
    stable: str
    unstable: str


class Duck(ServerEvent, frozen=True, kw_only=True, tag="antiphon.duck"):
    """The user may be interrupting: play this item quietly, or not at all, or as before again."""

    item_id: str
    ducked: bool
    paused: bool
    """Not at all: what is heard next is the same sample of it, or nothing more of it."""


class Citation(msgspec.Struct, frozen=True):
    """A passage that the model reads, and where it stands."""

    source: str
    text: str


class Citations(ServerEvent, frozen=True, kw_only=True, tag="antiphon.citations"):
    """The passages that the model reads for a response."""

    response_id: str
    item_id: str
    citations: tuple[Citation, ...]


class TurnMetrics(ServerEvent, frozen=True, kw_only=True, tag="antiphon.turn.metrics"):
    """Where the time of one turn went."""

    turn_id: int
    item_id: str | msgspec.UnsetType = msgspec.UNSET
    """The user item, if the turn had one."""
    response_id: str
    voice_to_voice_ms: float
    """End of the user's speech to the first audio of the response."""
    steps_ms: dict[str, float]
    """Each step that happened (`turn_steps.STEPS`), counted from the end of the user's speech."""
    complete: bool = False
    """Whether the client has said when the first audio was played."""
    mouth_to_ear_ms: float | None = None
    """The last of the user's speech captured to the first sample played; when complete."""
    parts_ms: dict[str, float] = msgspec.field(default_factory=dict)
    """Where the time went; when complete they sum to `mouth_to_ear_ms`."""


class Degraded(ServerEvent, frozen=True, kw_only=True, tag="antiphon.degraded"):
    """A stage has no worker left, so answers wait; or has one again."""

    stage: str
    degraded: bool
