"""Pure: the gateway's own listener and the one for the local network, each with its own rules."""

import msgspec

from antiphon_gateway.security import FindTicket, Gatekeeper, Handshake, Verdict
from antiphon_proto.config import Gateway, Lan
from antiphon_proto.errors import ConfigurationError


def lan_gateways(gateway: Gateway, lan: Lan) -> tuple[Gateway, ...]:
    """Return one configuration for each address of the local network that is listened on.

    Raises ConfigurationError when a key or the certificate is missing.
    """
    if not lan.addresses:
        return ()
    if not lan.api_keys and not gateway.api_keys:
        raise ConfigurationError(
            "lan.addresses is set and there is no key; set lan.api_keys, or start with: "
            "antiphon up --lan"
        )
    if not (lan.tls_certificate and lan.tls_key):
        raise ConfigurationError(
            "lan.addresses is set and nothing encrypts; set lan.tls_certificate and lan.tls_key, "
            "or start with: antiphon up --lan"
        )
    return tuple(
        msgspec.structs.replace(
            gateway,
            host=address,
            port=lan.port,
            api_keys=gateway.api_keys + lan.api_keys,
            tls_certificate=lan.tls_certificate,
            tls_key=lan.tls_key,
        )
        for address in lan.addresses
    )


class Listeners:
    """Judges a handshake by the rules of the listener that it came to."""

    def __init__(self, gateway: Gateway, lan: Lan) -> None:
        """Raise ConfigurationError when a listener would let strangers in."""
        self._main = Gatekeeper(gateway)
        self._others = {
            (other.host, other.port): Gatekeeper(other) for other in lan_gateways(gateway, lan)
        }

    def judge(self, handshake: Handshake, find: FindTicket = lambda _: None) -> Verdict:
        """See `Gatekeeper.judge`."""
        return self._of(handshake).judge(handshake, find)

    def foreign(self, handshake: Handshake) -> Verdict | None:
        """See `Gatekeeper.foreign`."""
        return self._of(handshake).foreign(handshake)

    def is_own_host(self, handshake: Handshake) -> bool:
        """See `Gatekeeper.is_own_host`."""
        return self._of(handshake).is_own_host(handshake.host)

    def is_own_page(self, handshake: Handshake) -> bool:
        """See `Gatekeeper.is_own_page`."""
        return self._of(handshake).is_own_page(handshake)

    def is_for_lan(self, handshake: Handshake) -> bool:
        """Tell whether a handshake came from the local network."""
        return handshake.listener in self._others

    def _of(self, handshake: Handshake) -> Gatekeeper:
        return self._others.get(handshake.listener, self._main)
