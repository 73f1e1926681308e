"""What `antiphon up --lan` makes: certificate, key, link, QR code."""

import datetime
import stat
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from antiphon import lan, lan_certificate
from antiphon_proto.config import Config, load
from antiphon_proto.errors import StartupError

NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    settings = ["lan.addresses=127.0.0.2,127.0.0.3", f"lan.directory={tmp_path / 'lan'}"]
    return load(environment={}, settings=settings)


def serial(config: Config) -> int:
    pem = Path(config.lan.tls_certificate).read_bytes()
    return x509.load_pem_x509_certificate(pem).serial_number


def test_certificate_and_key_are_made_once_and_private(config: Config) -> None:
    first = lan.prepare(config)
    number = serial(first)
    assert lan.prepare(config) == first
    assert serial(first) == number
    directory = config.lan.keeping_place
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    assert len(first.lan.api_keys[0]) >= 22


def test_the_certificate_is_renewed_when_an_address_is_new(config: Config) -> None:
    first = lan.prepare(config)
    number = serial(first)
    moved = msgspec.structs.replace(
        config, lan=msgspec.structs.replace(config.lan, addresses=("127.0.0.9",))
    )
    second = lan.prepare(moved)
    assert serial(second) != number
    assert first.lan.api_keys == second.lan.api_keys


def test_a_certificate_names_addresses_and_hosts_and_vouches_for_nothing_else() -> None:
    pem, private = lan_certificate.make(["192.168.1.7", "fe80::1", "den.local"], NOW)
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["192.168.1.7", "fe80::1", "den.local"]
    limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value.ca) == (True, False)
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days <= 398
    assert private.startswith(b"-----BEGIN PRIVATE KEY-----")


@pytest.mark.parametrize(
    ("names", "days_later", "good"),
    [
        (["10.0.0.5"], 0, True),
        (["10.0.0.5", "den"], 0, True),
        (["10.0.0.6"], 0, False),
        (["10.0.0.5"], 360, True),
        (["10.0.0.5"], 370, False),
        (["10.0.0.5"], 500, False),
    ],
)
def test_a_certificate_is_good_for_its_names_until_it_soon_ends(
    tmp_path: Path, names: list[str], days_later: int, good: bool
) -> None:
    path = tmp_path / "certificate.pem"
    path.write_bytes(lan_certificate.make(["10.0.0.5", "den"], NOW)[0])
    later = NOW + datetime.timedelta(days=days_later)
    assert lan_certificate.is_good(path, names, later) is good


def test_what_is_no_certificate_is_not_good(tmp_path: Path) -> None:
    path = tmp_path / "certificate.pem"
    assert not lan_certificate.is_good(path, [], NOW)
    path.write_text("nonsense")
    assert not lan_certificate.is_good(path, [], NOW)


def test_a_certificate_of_the_user_is_used_as_it_is(config: Config, tmp_path: Path) -> None:
    given = msgspec.structs.replace(
        config.lan, tls_certificate="mine.pem", tls_key="mine.key", api_keys=("my-key",)
    )
    prepared = lan.prepare(msgspec.structs.replace(config, lan=given))
    assert prepared.lan == given
    assert list(config.lan.keeping_place.iterdir()) == []


def test_the_notice_has_link_code_and_fingerprint(config: Config) -> None:
    prepared = lan.prepare(config).lan
    text = lan.notice(prepared)
    link = f"https://127.0.0.2:8443/#key={prepared.api_keys[0]}"
    assert lan.link(prepared) == link
    assert link in text
    assert lan_certificate.fingerprint(Path(prepared.tls_certificate)) in text
    code = [line for line in text.splitlines() if set(line) & set("▀▄█")]
    assert len(code) > 10


def test_a_public_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lan.ipaddress, "ip_address", lambda _: Public())
    with pytest.raises(StartupError, match="is a public address"):
        lan.own_address()


class Public:
    is_private = False


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match=r"--set lan\.directory=DIR"):
        lan.private_directory(tmp_path / "file" / "below")
