"""Asks a gateway over HTTP whether it can hold conversations, and which workers it has."""

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any

import msgspec

from antiphon_proto.config import Gateway

TIMEOUT_S = 2.0
_MOST_BYTES = 4_000_000
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
        return msgspec.convert(_get(gateway, "/readyz"), Readiness)
    except msgspec.ValidationError:
        return None


def status(gateway: Gateway) -> Mapping[str, Any] | None:
    """Return what `/v1/status` says; None when nothing of ours answers on the port."""
    answer = _get(gateway, "/v1/status")
    return answer if isinstance(answer, dict) and "stages" in answer else None


def serving(gateway: Gateway) -> set[str]:
    """Return the names of the workers that can be given jobs; none when nobody answers."""
    answer = status(gateway) or {"stages": {}}
    workers = [worker for stage in answer["stages"].values() for worker in stage["workers"]]
    return {str(w["worker_id"]) for w in workers if w["connected"] and w["slots"]}


def metrics(gateway: Gateway) -> str:
    """Return what `/metrics` says; empty when nobody answers."""
    return _body(gateway, "/metrics").decode()


def _get(gateway: Gateway, path: str) -> Any:
    try:
        return json.loads(_body(gateway, path))
    except ValueError:
        return None


def _body(gateway: Gateway, path: str) -> bytes:
    connection = _connection(gateway, _ANY_ADDRESS.get(gateway.host, gateway.host))
    try:
        key = gateway.api_keys[0] if gateway.api_keys else ""
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        return connection.getresponse().read(_MOST_BYTES)
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
