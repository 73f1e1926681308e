"""How a client proves that a session is its own: a secret of 128 bits. Pure.

The secret itself is never kept, only its hash. It comes as a subprotocol entry of the handshake,
`antiphon.resume.SESSION_ID.TOKEN`, because browsers can send no header; it is never selected.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import NamedTuple

_PREFIX = "antiphon.resume."
_MAX_CHARS = 256


class Claim(NamedTuple):
    """What a client says to have a session back."""

    session_id: str
    token: str


def new_token() -> str:
    """Return a fresh token, of letters that a subprotocol may have."""
    return secrets.token_urlsafe(16)


def digest(token: str) -> bytes:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def proves(claim: Claim, kept: bytes) -> bool:
    """Tell whether a claim's token is the one, in constant time."""
    return hmac.compare_digest(digest(claim.token), kept)


def claim_in(subprotocols: Sequence[str]) -> Claim | None:
    """Return the claim among the subprotocols that a client offers."""
    for entry in subprotocols:
        if entry.startswith(_PREFIX) and len(entry) <= _MAX_CHARS:
            session_id, dot, token = entry.removeprefix(_PREFIX).partition(".")
            if session_id and dot and token:
                return Claim(session_id, token)
    return None
