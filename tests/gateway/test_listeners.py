"""The listener for the local network asks for its key; the one on loopback stays as it is."""

import pytest

from antiphon_gateway.listeners import Listeners, lan_gateways
from antiphon_gateway.security import Handshake
from antiphon_proto.config import Gateway, Lan
from antiphon_proto.errors import ConfigurationError

HOME = ("192.168.1.7", 8443)
LOOPBACK = ("127.0.0.1", 8080)
LAN = Lan(
    addresses=("192.168.1.7",), api_keys=("lan-key",), tls_certificate="c.pem", tls_key="k.pem"
)


def arrival(listener: tuple[str, int], key: str | None = None, origin: str = "") -> Handshake:
    secure = listener == HOME
    host = f"{listener[0]}:{listener[1]}"
    return Handshake(
        host=host,
        is_tls=secure,
        origin=origin or f"{'https' if secure else 'http'}://{host}",
        authorization=f"Bearer {key}" if key else None,
        listener=listener,
    )


@pytest.mark.parametrize(
    ("listener", "key", "status"),
    [
        (LOOPBACK, None, 200),
        (LOOPBACK, "anything", 200),
        (HOME, None, 401),
        (HOME, "wrong", 401),
        (HOME, "lan-key", 200),
    ],
)
def test_only_the_local_network_needs_the_key(
    listener: tuple[str, int], key: str | None, status: int
) -> None:
    assert Listeners(Gateway(), LAN).judge(arrival(listener, key)).status == status


def test_keys_of_the_gateway_are_good_on_both_and_those_of_the_network_only_there() -> None:
    listeners = Listeners(Gateway(api_keys=("main-key",)), LAN)
    assert listeners.judge(arrival(HOME, "main-key")).key == "key-0"
    assert listeners.judge(arrival(LOOPBACK, "main-key")).key == "key-0"
    assert listeners.judge(arrival(HOME, "lan-key")).key == "key-1"
    assert listeners.judge(arrival(LOOPBACK, "lan-key")).status == 401


def test_pages_of_other_sites_stay_out_on_both() -> None:
    listeners = Listeners(Gateway(), LAN)
    for listener in (HOME, LOOPBACK):
        evil = arrival(listener, "lan-key", origin="https://evil.example")
        assert listeners.judge(evil).status == 403
    # The plain origin of this machine is another site to the encrypted one.
    assert listeners.judge(arrival(HOME, "lan-key", origin="http://192.168.1.7:8443")).status == 403


@pytest.mark.parametrize(
    ("lan", "remedy"),
    [
        (Lan(addresses=("10.0.0.1",)), "set lan.api_keys"),
        (
            Lan(addresses=("10.0.0.1",), api_keys=("key",)),
            "set lan.tls_certificate and lan.tls_key",
        ),
    ],
)
def test_a_listener_without_key_or_certificate_is_refused(lan: Lan, remedy: str) -> None:
    with pytest.raises(ConfigurationError, match=remedy):
        Listeners(Gateway(), lan)


def test_without_addresses_there_is_no_such_listener() -> None:
    assert lan_gateways(Gateway(), Lan(api_keys=("key",))) == ()
