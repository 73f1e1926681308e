"""What a gateway that others can reach must have before it starts."""

from pathlib import Path

import pytest

from antiphon_gateway.exposure import check_exposure, tls_context
from antiphon_proto.config import Gateway
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
