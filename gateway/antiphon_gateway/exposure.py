"""Whether others can reach the gateway, and what it needs before they may."""

import ipaddress
import re
import ssl

import aiohttp

from antiphon_proto.config import Gateway
from antiphon_proto.errors import ConfigurationError, StartupError

AIOHTTP_FLOOR = (3, 14, 3)
"""Older ones have holes that a stranger can use (CVE-2026-54274 and others)."""


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address means this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_exposure(gateway: Gateway) -> None:
    """Refuse a configuration that would let strangers in or send speech in the clear.

    Raises ConfigurationError naming the setting that mends it.
    """
    if bool(gateway.tls_certificate) != bool(gateway.tls_key):
        missing = "tls_key" if gateway.tls_certificate else "tls_certificate"
        raise ConfigurationError(f"gateway.{missing} is empty; TLS needs certificate and key")
    if not all(gateway.api_keys):
        raise ConfigurationError("gateway.api_keys holds an empty key")
    if is_loopback(gateway.host):
        return
    where = f"gateway.host is {gateway.host}, which others can reach, and"
    if not gateway.api_keys:
        raise ConfigurationError(
            f"{where} gateway.api_keys is empty; set ANTIPHON_GATEWAY__API_KEYS to a secret, or "
            "gateway.host to 127.0.0.1"
        )
    if not gateway.tls_certificate and not gateway.behind_proxy:
        raise ConfigurationError(
            f"{where} nothing encrypts; set gateway.tls_certificate and gateway.tls_key, or "
            "gateway.behind_proxy=true (--behind-proxy) if a proxy in front does"
        )


def check_aiohttp(version: str = aiohttp.__version__) -> None:
    """Raise StartupError when the installed aiohttp has known holes."""
    if tuple(int(number) for number in re.findall(r"\d+", version)[:3]) < AIOHTTP_FLOOR:
        floor = ".".join(map(str, AIOHTTP_FLOOR))
        raise StartupError(f"aiohttp {version} has known holes; pip install 'aiohttp>={floor}'")


def tls_context(gateway: Gateway) -> ssl.SSLContext | None:
    """Return what the gateway encrypts with, None when it does not.

    Raises StartupError when certificate or key cannot be used.
    """
    if not gateway.tls_certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(gateway.tls_certificate, gateway.tls_key)
    except OSError as exc:
        raise StartupError(
            f"TLS cannot use gateway.tls_certificate={gateway.tls_certificate} with "
            f"gateway.tls_key={gateway.tls_key}: {exc.strerror or exc}; "
            "give PEM files that belong together and that this user may read"
        ) from exc
    return context
