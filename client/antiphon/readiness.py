"""Asks a gateway over HTTP whether it can hold conversations."""

import http.client
import json
import ssl
from collections.abc import Mapping

import msgspec

from antiphon_proto.config import Gateway

TIMEOUT_S = 2.0
MOST_BYTES = 4_000_000
"""Of an answer; what a gateway with all its sessions says is smaller."""
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class StageReadiness(msgspec.Struct, frozen=True):
    """One stage in the answer of `/readyz`."""

    ready: bool
    reason: str = ""


class Readiness(msgspec.Struct, frozen=True):
    """The answer of `/readyz`."""

    ready: bool
    stages: Mapping[str, StageReadiness] = {}


def ask(gateway: Gateway) -> Readiness | None:
    """Return what `/readyz` says; None when nothing of ours answers on the port."""
    try:
        return msgspec.convert(json.loads(get(gateway, "/readyz")), Readiness)
    except (ValueError, msgspec.ValidationError):
        return None


def serving(gateway: Gateway) -> set[str]:
    """Return the names of the workers that can be given jobs; none when nobody answers."""
    try:
        stages = json.loads(get(gateway, "/v1/status"))["stages"].values()
        workers = [worker for stage in stages for worker in stage["workers"]]
        return {str(w["worker_id"]) for w in workers if w["connected"] and w["slots"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()


def get(gateway: Gateway, path: str) -> bytes:
    """Return the body of an answer, with a key where there are any; empty when there is none."""
    headers = {"Authorization": f"Bearer {gateway.api_keys[0]}"} if gateway.api_keys else {}
    host = _ANY_ADDRESS.get(gateway.host, gateway.host)
    connection = _connection(gateway, host)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().read(MOST_BYTES)
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        connection.close()


def _connection(gateway: Gateway, host: str) -> http.client.HTTPConnection:
    if not gateway.tls_certificate:
        return http.client.HTTPConnection(host, gateway.port, timeout=TIMEOUT_S)
    # The certificate names the public host, not the address that we ask on this machine.
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, gateway.port, timeout=TIMEOUT_S, context=unverified)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a server on `host`."""
    return host in _LOOPBACK or host.startswith("127.")


def page_address(gateway: Gateway) -> str:
    """Return the address a person opens in a browser on this machine."""
    host = gateway.host
    if is_loopback(host) or host in _ANY_ADDRESS:
        # Browsers give the microphone to http://localhost, not to other plain http addresses.
        host = "localhost"
    scheme = "https" if gateway.tls_certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{gateway.port}"
