"""Which Origin, Host and key may connect, and the subprotocol that is selected.

Browsers let any page open a WebSocket to any host, also to this machine, and a hostile name server
can point any host name at 127.0.0.1 (DNS rebinding). So the page's Origin must be ours or allowed
by name, and on loopback the Host must be a name of loopback.
"""

import dataclasses
import hmac
from collections.abc import Callable, Collection, Sequence
from urllib.parse import urlsplit

from aiohttp import web

from antiphon_gateway.exposure import check_exposure, is_loopback
from antiphon_gateway.tickets import Ticket
from antiphon_proto.config import Gateway
from antiphon_proto.errors import ConfigurationError

SUBPROTOCOLS = ("antiphon.v1", "realtime", "openai-beta.realtime-v1")
"""What is selected when the client offers it, the first one first."""

FindTicket = Callable[[str], Ticket | None]

_KEY_SUBPROTOCOL = "openai-insecure-api-key."
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclasses.dataclass(frozen=True, slots=True)
class Handshake:
    """What a client says of itself when it connects."""

    host: str
    """The Host header: name or address, and port unless it is the scheme's own."""
    is_tls: bool = False
    """The connection itself is encrypted."""
    origin: str | None = None
    authorization: str | None = None
    subprotocols: tuple[str, ...] = ()
    listener: tuple[str, int] = ("", 0)
    """Address and port of this machine that it came to."""


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a handshake."""

    status: int
    """200: may connect; 401: no valid key; 403: foreign Origin or Host."""
    reason: str = ""
    subprotocol: str | None = None
    """What to select; never an entry that holds a key."""
    key: str = ""
    """Name of the key that was presented, never the key; empty when none is configured."""
    session: bytes = b""
    """The `session.update` as JSON that a short-lived key brings."""
    spent: str = ""
    """The short-lived key that was presented; `Tickets.spend` it when it is used."""

    @property
    def allowed(self) -> bool:
        """Whether the client may connect."""
        return self.status == 200


class Gatekeeper:
    """Decides on handshakes by the configuration of the gateway."""

    def __init__(self, gateway: Gateway) -> None:
        """Raise ConfigurationError for a malformed origin, and see `check_exposure`."""
        check_exposure(gateway)
        self._keys = tuple(key.encode() for key in gateway.api_keys)
        self._is_loopback = is_loopback(gateway.host)
        self._behind_proxy = gateway.behind_proxy
        self._origins = frozenset(_configured_origin(origin) for origin in gateway.allowed_origins)
        self._hosts = frozenset(host for _, host, _ in self._origins)

    def judge(self, handshake: Handshake, find: FindTicket = lambda _: None) -> Verdict:
        """Decide on one handshake; `find` looks a short-lived key up. Pure."""
        if foreign := self.foreign(handshake):
            return foreign
        offered = _offered_key(handshake)
        subprotocol = select_subprotocol(handshake.subprotocols)
        if offered and (ticket := find(offered)):
            return Verdict(200, "", subprotocol, ticket.key, ticket.session, offered)
        key = self._name_of_key(offered)
        if key is None:
            return Verdict(401, "the API key is missing, wrong, used or expired")
        return Verdict(200, "", subprotocol, key)

    def foreign(self, handshake: Handshake) -> Verdict | None:
        """Return the refusal of a foreign Host or Origin; None when both may be here."""
        if not self.is_own_host(handshake.host):
            return Verdict(403, "the Host header is not a name of this machine")
        if handshake.origin is not None and not self._is_allowed_origin(handshake):
            return Verdict(403, "the Origin is not in gateway.allowed_origins")
        return None

    def is_own_page(self, handshake: Handshake) -> bool:
        """Tell whether a request comes from a page of this server, or from no page at all."""
        if handshake.origin is None:
            return True
        origin = _parse_origin(handshake.origin)
        # A proxy that encrypts speaks without TLS to us; its page's origin has the other scheme.
        scheme = "https" if handshake.is_tls else "http"
        if self._behind_proxy and origin is not None:
            scheme = origin[0]
        return origin == _own_origin(handshake, scheme)

    def is_own_host(self, host_header: str) -> bool:
        """Tell whether a Host header names this server; the check for every other route.

        On loopback: a name of loopback or the host of an allowed origin, with any port. Elsewhere
        the owner's names are not known, and the key protects instead.
        """
        if not self._is_loopback:
            return True
        address = _host_and_port(host_header, "http")
        return address is not None and (is_loopback(address[0]) or address[0] in self._hosts)

    def _is_allowed_origin(self, handshake: Handshake) -> bool:
        origin = _parse_origin(handshake.origin or "")
        if origin is None:
            return False
        own_scheme = "https" if handshake.is_tls else "http"
        return origin == _own_origin(handshake, own_scheme) or origin in self._origins

    def _name_of_key(self, key: str | None) -> str | None:
        """Return `key-N` for an offered key that is valid, empty where none is needed, else None.

        Compares with every key in constant time.
        """
        if not self._keys:
            return ""
        offered = (key or "").encode("utf-8", "surrogateescape")
        matches = [hmac.compare_digest(offered, valid) for valid in self._keys]
        return f"key-{matches.index(True)}" if any(matches) else None


def handshake_of(request: web.Request) -> Handshake:
    """Return what a request says of its sender; a repeated Origin or Host counts as foreign."""
    origins = request.headers.getall("Origin", [])
    hosts = request.headers.getall("Host", [])
    offered = ",".join(request.headers.getall("Sec-WebSocket-Protocol", []))
    local = request.transport and request.transport.get_extra_info("sockname")
    return Handshake(
        host=hosts[0] if len(hosts) == 1 else "",
        is_tls=request.secure,
        origin=",".join(origins) if origins else None,
        authorization=request.headers.get("Authorization"),
        subprotocols=tuple(entry.strip() for entry in offered.split(",") if entry.strip()),
        listener=tuple(local[:2]) if local else ("", 0),
    )


def select_subprotocol(offered: Collection[str]) -> str | None:
    """Return the best of our subprotocols that the client offers."""
    return next((name for name in SUBPROTOCOLS if name in offered), None)


_Origin = tuple[str, str, int]
"""Scheme, host in lower case, port."""


def _parse_origin(text: str) -> _Origin | None:
    """Return the parts of a serialised origin; None for `null` and anything else that is none."""
    scheme, separator, authority = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _DEFAULT_PORTS:
        return None
    address = _host_and_port(authority, scheme)
    return None if address is None else (scheme, *address)


def _own_origin(handshake: Handshake, scheme: str) -> _Origin:
    return (scheme, *(_host_and_port(handshake.host, scheme) or ("", 0)))


def _host_and_port(authority: str, scheme: str) -> tuple[str, int] | None:
    """Return host and port of `host[:port]`; None when it holds anything else."""
    if not authority.isascii() or not authority.isprintable() or set(authority) & set("/?#@\\, %"):
        return None
    try:
        parts = urlsplit(f"//{authority}")
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname:
        return None
    return parts.hostname, _DEFAULT_PORTS[scheme] if port is None else port


def _configured_origin(text: str) -> _Origin:
    origin = _parse_origin(text.rstrip("/"))
    if origin is None:
        raise ConfigurationError(
            f"gateway.allowed_origins holds {text!r}, which is no origin; "
            "write scheme, host and port, for example https://home.example:8443"
        )
    return origin


def _offered_key(handshake: Handshake) -> str | None:
    """Return the key of the Authorization header, else of the subprotocols."""
    scheme, _, key = (handshake.authorization or "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    return _subprotocol_key(handshake.subprotocols)


def _subprotocol_key(subprotocols: Sequence[str]) -> str | None:
    return next(
        (
            entry.removeprefix(_KEY_SUBPROTOCOL)
            for entry in subprotocols
            if entry.startswith(_KEY_SUBPROTOCOL)
        ),
        None,
    )
