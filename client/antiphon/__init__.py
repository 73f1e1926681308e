"""The Python client and the `antiphon` command.

    async with antiphon.connect("ws://localhost:8080") as talk:
        await talk.send_text("What is the capital of France?")
        async for message in talk:
            print(message)

`events` has the types of what arrives; `Audio` is a piece of speech.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon import events
    from antiphon.connection import Audio, Connection, connect
    from antiphon.server_address import ConnectionClosed, ConnectionFailed

__all__ = ["Audio", "Connection", "ConnectionClosed", "ConnectionFailed", "connect", "events"]

_HOME = {
    "Audio": "antiphon.connection",
    "Connection": "antiphon.connection",
    "ConnectionClosed": "antiphon.server_address",
    "ConnectionFailed": "antiphon.server_address",
    "connect": "antiphon.connection",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: the commands that hold no session need no network library."""
    if name == "events":
        return importlib.import_module("antiphon.events")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'antiphon' has no attribute {name!r}")
