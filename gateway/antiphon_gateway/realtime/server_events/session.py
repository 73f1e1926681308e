"""Server events about the session as a whole."""

from typing import Any, Literal

import msgspec

from antiphon_gateway.realtime.server_events.base import ServerEvent


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong."""

    type: Literal["invalid_request_error", "server_error"]
    code: str | None = None
    message: str
    param: str | None = None
    event_id: str | None = None
    """The client's id of the event at fault."""


class SessionCreated(ServerEvent, frozen=True, kw_only=True, tag="session.created"):
    """First event of a connection."""

    session: dict[str, Any]


class SessionUpdated(ServerEvent, frozen=True, kw_only=True, tag="session.updated"):
    """The whole session after an update."""

    session: dict[str, Any]


class Error(ServerEvent, frozen=True, kw_only=True, tag="error"):
    """Something failed; the session goes on. Clients raise on it: never for mere warnings."""

    error: ErrorDetail
