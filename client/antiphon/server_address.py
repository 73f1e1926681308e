"""Pure: the address of a server, and what went wrong on the way to it, in words."""

from collections.abc import Mapping

from yarl import URL

from antiphon_proto.errors import AntiphonError

ENDPOINT = "/v1/realtime"

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_CLOSE_CODES = {
    1000: "it ended the session",
    1001: "it is going away",
    1005: "it gave no reason",
    1006: "the connection broke; the server may have ended",
    1008: "it refused what was sent",
    1009: "a message was too big",
    1011: "it has an internal error",
    1012: "it is restarting",
    1013: "it is full; try again later",
}


class ConnectionFailed(AntiphonError):
    """Raised when no session can be had: no server, a refusal, a server of another kind."""

    code = "connection_failed"


class ConnectionClosed(AntiphonError):
    """Raised when the server closes a session that the client still needs."""

    code = "connection_closed"

    def __init__(self, close_code: int, reason: str) -> None:
        why = reason or _CLOSE_CODES.get(close_code, "it gave no reason")
        super().__init__(f"the session was closed: {why} (code {close_code})")
        self.close_code = close_code
        self.reason = reason


def realtime_url(text: str) -> URL:
    """Return the WebSocket address for `ws://HOST:PORT/v1/realtime` or any shorter form of it.

    Raises ConnectionFailed when it is no address.
    """
    try:
        url = URL(text if "://" in text else f"ws://{text}")
        valid = url.scheme in _SCHEMES and bool(url.host)
    except ValueError:
        valid = False
    if not valid:
        raise ConnectionFailed(f"{text} is not an address such as ws://localhost:8080")
    url = url.with_scheme(_SCHEMES[url.scheme])
    return url if url.path.strip("/") else url.with_path(ENDPOINT)


def unreachable(url: URL, cause: str) -> ConnectionFailed:
    """Return the error for a server that does not answer."""
    if url.host in _LOOPBACK:
        return ConnectionFailed(f"no server at {_place(url)}; start it with: make run")
    return ConnectionFailed(f"no server at {_place(url)}: {cause}")


def refused(url: URL, status: int, headers: Mapping[str, str]) -> ConnectionFailed:
    """Return the error for a server that answers with an HTTP status instead of a session."""
    place = _place(url)
    if status == 401:
        return ConnectionFailed(f"{place} wants another API key; give it with --api-key")
    if status == 403:
        return ConnectionFailed(f"{place} does not accept connections from here (HTTP 403)")
    if status == 404:
        return ConnectionFailed(f"{place} has no {url.path}; it is no Realtime server (HTTP 404)")
    if status == 429:
        return ConnectionFailed(f"{place} has too many sessions of this address or key (HTTP 429)")
    if status == 503:
        wait = headers.get("Retry-After")
        when = f"in {wait} s" if wait and wait.isdigit() else "later"
        return ConnectionFailed(f"{place} is full or not ready; try again {when} (HTTP 503)")
    return ConnectionFailed(f"{place} answered with HTTP status {status}, not with a session")


def _place(url: URL) -> str:
    return str(url.origin())
