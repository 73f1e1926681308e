"""Who sends a request: the address that limits count by, and whether it is this machine itself."""

import ipaddress
from typing import NamedTuple

from aiohttp import web

_FORWARDING = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")
_UNKNOWN = "unknown"


class Caller(NamedTuple):
    """The sender of a request."""

    address: str
    """An IPv4 address, an IPv6 network of 64 bits, or `unknown`."""
    is_local: bool
    """It runs on this machine, and no proxy stands between."""


def caller_of(request: web.Request, *, behind_proxy: bool) -> Caller:
    """Return who sends a request.

    `behind_proxy`: the last entry of `X-Forwarded-For`, which our own proxy wrote, is the address.
    Without it these headers only show that a proxy stands between, so that the sender is not local.
    """
    peer = _parse(request.remote or "")
    forwarded = any(name in request.headers for name in _FORWARDING)
    is_local = peer is not None and peer.is_loopback and not forwarded
    if behind_proxy and (entries := request.headers.getall("X-Forwarded-For", [])):
        peer = _parse(entries[-1].rpartition(",")[2].strip())
    return Caller(_network(peer), is_local)


def is_loopback(address: str) -> bool:
    """Tell whether a `Caller.address` is one of loopback."""
    parsed = _parse(address.partition("/")[0])
    return parsed is not None and parsed.is_loopback


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _parse(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _network(address: _Address | None) -> str:
    if address is None:
        return _UNKNOWN
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
