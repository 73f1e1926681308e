"""Who may change the running server: its machine's own user, or whoever has a lasting key. Pure."""

from antiphon_gateway.callers import Caller
from antiphon_gateway.listeners import Listeners
from antiphon_gateway.security import Handshake, Verdict


def judge(listeners: Listeners, handshake: Handshake, caller: Caller) -> Verdict:
    """Return whether a request may change the server, or see what of it could be changed.

    A page may only where it was served by this server itself: `gateway.allowed_origins` lets other
    pages talk with it, no more. Without keys only this machine may, and no proxy on it.
    """
    verdict = listeners.judge(handshake)
    if not verdict.allowed:
        return verdict
    if not listeners.is_own_page(handshake):
        return Verdict(403, "only the server's own page may do this")
    if not caller.is_local and not verdict.key:
        return Verdict(401, "this needs an API key, or a request from the gateway's own machine")
    return verdict
