"""What all server events share."""

import msgspec


class ServerEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of every server event."""

    event_id: str = ""
    """Empty: `encode` gives it a fresh one."""
