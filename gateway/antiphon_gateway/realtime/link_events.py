"""Extension events about the connection itself, not the conversation; see gateway/README.md."""

from typing import Literal

from antiphon_gateway.realtime.server_events import ServerEvent


class SessionTicket(ServerEvent, frozen=True, kw_only=True, tag="antiphon.session"):
    """What the client needs to have this session back when its connection drops."""

    session_id: str
    resume_token: str
    resume_within_s: float


class Resumed(ServerEvent, frozen=True, kw_only=True, tag="antiphon.resumed"):
    """The session goes on here. Not counted; what follows it is what the client lacks."""

    session_id: str
    events_received: int
    """Text messages of the client that count."""
    last_frame: int | None
    """Sequence number of the last binary frame that counts; None: none."""


class Reconnect(ServerEvent, frozen=True, kw_only=True, tag="antiphon.reconnect"):
    """The server is about to close with 1012: come back after this time and resume."""

    after_ms: int


class Acknowledged(ServerEvent, frozen=True, kw_only=True, tag="antiphon.ack"):
    """What of the client's need not be kept for a resumption any more."""

    events_received: int
    last_frame: int | None


class Flow(ServerEvent, frozen=True, kw_only=True, tag="antiphon.flow"):
    """Hold the microphone's frames back, or go on sending them."""

    microphone: Literal["pause", "resume"]
