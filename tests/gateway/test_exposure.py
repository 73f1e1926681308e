"""What a gateway that others can reach must have before it starts."""

from pathlib import Path

import pytest

from antiphon_gateway import exposure, server
from antiphon_gateway.exposure import check_aiohttp, check_exposure, tls_context
from antiphon_proto.config import Gateway, load
from antiphon_proto.errors import ConfigurationError, StartupError

KEYS = ("secret",)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "voice.example"])
def test_others_are_let_in_only_with_keys_and_encryption(host: str) -> None:
    with pytest.raises(ConfigurationError, match="set ANTIPHON_GATEWAY__API_KEYS"):
        check_exposure(Gateway(host=host, behind_proxy=True))
    with pytest.raises(ConfigurationError, match=r"--behind-proxy\) if a proxy"):
        check_exposure(Gateway(host=host, api_keys=KEYS))
    check_exposure(Gateway(host=host, api_keys=KEYS, behind_proxy=True))
    check_exposure(Gateway(host=host, api_keys=KEYS, tls_certificate="c", tls_key="k"))


@pytest.mark.parametrize("version", ["3.14.2", "3.9.5", "2.3.10", "3.13.99"])
def test_an_aiohttp_with_known_holes_is_refused(version: str) -> None:
    with pytest.raises(StartupError, match=f"aiohttp {version} has known holes; pip install"):
        check_aiohttp(version)


@pytest.mark.parametrize("version", ["3.14.3", "3.15.0", "4.0.0a1"])
def test_a_newer_aiohttp_is_taken(version: str) -> None:
    check_aiohttp(version)


def test_a_gateway_does_not_start_with_an_older_aiohttp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_models = load(environment={}, settings=[f"models.cache_dir={tmp_path}"])
    monkeypatch.setattr(exposure, "AIOHTTP_FLOOR", (99, 0, 0))
    with pytest.raises(StartupError, match="has known holes"):
        server.run(without_models)


def test_loopback_needs_neither() -> None:
    check_exposure(Gateway())
    assert tls_context(Gateway()) is None


@pytest.mark.parametrize(
    ("gateway", "names"),
    [
        (Gateway(tls_certificate="c"), "gateway.tls_key is empty"),
        (Gateway(tls_key="k"), "gateway.tls_certificate is empty"),
        (Gateway(api_keys=("a", "")), "gateway.api_keys holds an empty key"),
    ],
)
def test_half_a_setting_is_refused_by_name(gateway: Gateway, names: str) -> None:
    with pytest.raises(ConfigurationError, match=names):
        check_exposure(gateway)


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    for path in (nonsense, tmp_path / "missing.pem"):
        with pytest.raises(StartupError, match=path.name) as caught:
            tls_context(Gateway(tls_certificate=str(path), tls_key=str(path)))
        assert "\n" not in str(caught.value)
