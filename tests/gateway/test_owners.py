"""Who may change the running server, by where a request comes from, its page and its key."""

import pytest

from antiphon_gateway import owners
from antiphon_gateway.callers import Caller
from antiphon_gateway.listeners import Listeners
from antiphon_gateway.security import Handshake
from antiphon_proto.config import Gateway, Lan

HERE, ELSEWHERE = Caller("127.0.0.1", True), Caller("192.168.1.9", False)
PROXIED = Caller("127.0.0.1", False)
HOME = ("192.168.1.7", 8443)
LAN = Lan(
    addresses=("192.168.1.7",), api_keys=("lan-key",), tls_certificate="c.pem", tls_key="k.pem"
)
OPEN = Gateway(allowed_origins=("https://friend.example",))
KEYED = Gateway(
    host="0.0.0.0",
    api_keys=("owner",),
    behind_proxy=True,
    allowed_origins=("https://home.example", "https://friend.example"),
)


def asked(origin: str | None = None, key: str = "", *, lan: bool = False) -> Handshake:
    return Handshake(
        host="192.168.1.7:8443" if lan else "localhost:8080",
        is_tls=lan,
        origin=origin,
        authorization=f"Bearer {key}" if key else None,
        listener=HOME if lan else ("127.0.0.1", 8080),
    )


@pytest.mark.parametrize(
    ("handshake", "caller", "status"),
    [
        (asked(), HERE, 200),
        (asked("http://localhost:8080"), HERE, 200),
        (asked("http://localhost:8081"), HERE, 403),
        (asked("https://evil.example"), HERE, 403),
        (asked("null"), HERE, 403),
        (asked("https://friend.example"), HERE, 403),
        (asked(), PROXIED, 401),
        (asked("http://localhost:8080"), PROXIED, 401),
        (asked("http://localhost:8080", "any"), PROXIED, 401),
        (asked("https://192.168.1.7:8443", lan=True), ELSEWHERE, 401),
        (asked("https://192.168.1.7:8443", "wrong", lan=True), ELSEWHERE, 401),
        (asked("https://192.168.1.7:8443", "lan-key", lan=True), ELSEWHERE, 200),
        (asked("https://evil.example", "lan-key", lan=True), ELSEWHERE, 403),
    ],
)
def test_without_keys_this_machine_and_on_the_local_network_its_key(
    handshake: Handshake, caller: Caller, status: int
) -> None:
    assert owners.judge(Listeners(OPEN, LAN), handshake, caller).status == status


@pytest.mark.parametrize(
    ("origin", "key", "caller", "status"),
    [
        (None, "", HERE, 401),
        (None, "owner", HERE, 200),
        ("https://home.example", "owner", ELSEWHERE, 200),
        ("https://home.example", "", ELSEWHERE, 401),
        ("https://home.example", "ek_ticket", ELSEWHERE, 401),
        ("https://friend.example", "owner", ELSEWHERE, 403),
    ],
)
def test_where_there_are_keys_everybody_needs_one_and_the_servers_own_page(
    origin: str | None, key: str, caller: Caller, status: int
) -> None:
    authorization = f"Bearer {key}" if key else None
    handshake = Handshake(host="home.example", origin=origin, authorization=authorization)
    assert owners.judge(Listeners(KEYED, Lan()), handshake, caller).status == status
