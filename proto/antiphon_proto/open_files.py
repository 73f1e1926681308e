"""How many files a gateway has open at a time, and whether the system lets it. Linux and macOS."""

import resource

from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import STAGES

_BASE = 64
"""Standard streams, listeners, the event loop, ZeroMQ, the models; measured: 22."""
_A_SESSION = 2
"""Its connection, and the one that it comes back on while the old one seems open."""
_A_REQUEST = 4
"""Its connection, and an encoder's pipes and process."""
_A_DECODER = 4
_A_WORKER = 7
"""Measured: its connections, and what ZeroMQ needs for them."""
_CONNECTIONS_WITHOUT = 192
"""Connections that hold no place: those that wait in line (64), that were closed and are still
read (64), and handshakes."""
_ENOUGH = 10_240
"""Room for strangers, of whom each may hold a connection for as long as a handshake may take; and
all that macOS gives where it names no limit."""


def needed(config: Config) -> int:
    """Return how many open files a gateway needs to serve all whom it lets in."""
    gateway = config.gateway
    return _without_sessions(config) + _A_SESSION * gateway.max_sessions


def most() -> int:
    """Return how many this process may have when it asks for them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH if hard == resource.RLIM_INFINITY else hard


def allow(config: Config) -> None:
    """Raise this process's own limit to what a gateway needs, and to 10,240 where it may.

    Raises StartupError when it may not have what it needs.
    """
    if most() < needed(config):
        raise StartupError(refusal(config))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = max(needed(config), min(most(), _ENOUGH))
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))


def refusal(config: Config) -> str:
    """Return why a gateway cannot serve with what the system allows, and what mends it."""
    sessions = (most() - _without_sessions(config)) // _A_SESSION
    fewer = f", or set gateway.max_sessions={sessions}" if sessions > 0 else ""
    return (
        f"gateway.max_sessions={config.gateway.max_sessions} needs {needed(config)} open files and "
        f"the system allows {most()}; raise the hard limit (ulimit -n, LimitNOFILE= of a systemd "
        f"unit, ulimits of a container){fewer}"
    )


def _without_sessions(config: Config) -> int:
    gateway = config.gateway
    workers = sum(config.stage(stage).processes for stage in STAGES)
    return (
        _BASE
        + _A_REQUEST * gateway.max_requests
        + _A_DECODER * gateway.max_decoders
        + _A_WORKER * workers
        + _CONNECTIONS_WITHOUT
    )
