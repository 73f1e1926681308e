"""`antiphon up --lan`: what other devices of the local network need, without a manual step."""

import datetime
import io
import ipaddress
import os
import secrets
import socket
from importlib.util import find_spec
from pathlib import Path

import msgspec

from antiphon_proto.config import Config, Lan
from antiphon_proto.errors import StartupError

KEY_BYTES = 16
_KEY_FILE = "access-key"
_CERTIFICATE_FILE = "certificate.pem"
_PRIVATE_KEY_FILE = "key.pem"
_NOWHERE = ("192.0.2.1", 9)
"""An address kept for documentation (RFC 5737): asking for the way there sends nothing."""

NOTICE = """\
Other devices of this network: {address}
{code}
  The link holds the access key; whoever has it can talk with this server.
  The browser will warn once, because no authority vouches for a machine at home. Go on
  ("Advanced", then "Proceed" or "Visit") if the certificate has this SHA-256 fingerprint:
  {fingerprint}
  Certificate and key are kept in {directory}; remove them for new ones.
"""


def prepare(config: Config) -> Config:
    """Return the configuration with a listener for the local network.

    Makes the access key, and the certificate when there is none, it expires or an address is new.
    Raises StartupError when this machine is in no private network or nothing can be kept.
    """
    for module, package in (("cryptography", "cryptography"), ("segno", "segno")):
        if find_spec(module) is None:
            raise StartupError(f"package {package} is missing; run: pip install {package}")
    from antiphon import lan_certificate  # an optional package

    lan = config.lan
    addresses = lan.addresses or (own_address(),)
    directory = private_directory(lan.keeping_place)
    certificate = Path(lan.tls_certificate or directory / _CERTIFICATE_FILE)
    private_key = Path(lan.tls_key or directory / _PRIVATE_KEY_FILE)
    names = [*addresses, *host_names()]
    now = datetime.datetime.now(datetime.UTC)
    own = not lan.tls_certificate
    if own and not (private_key.is_file() and lan_certificate.is_good(certificate, names, now)):
        pem, private_pem = lan_certificate.make(names, now)
        _write_private(private_key, private_pem)
        _write_private(certificate, pem)
    prepared = msgspec.structs.replace(
        lan,
        addresses=addresses,
        tls_certificate=str(certificate),
        tls_key=str(private_key),
        api_keys=lan.api_keys or (_access_key(directory),),
    )
    return msgspec.structs.replace(config, lan=prepared)


def own_address() -> str:
    """Return this machine's address in its private network.

    Raises StartupError when it has none: what listens on a public address is for a proxy.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_NOWHERE)
            address: str = probe.getsockname()[0]
        except OSError as exc:
            raise StartupError(
                "this machine is in no network; connect it, or name an address of it with "
                "--set lan.addresses=ADDRESS"
            ) from exc
    if not ipaddress.ip_address(address).is_private:
        raise StartupError(
            f"{address} is a public address, not one of a home network; name a private one with "
            "--set lan.addresses=ADDRESS, or see SECURITY.md for serving the internet"
        )
    return address


def host_names() -> list[str]:
    """Return the names by which the network may know this machine."""
    name = socket.gethostname().partition(".")[0].lower()
    safe = name.isascii() and name.replace("-", "").isalnum()
    return [name, f"{name}.local"] if safe and name != "localhost" else []


def link(lan: Lan) -> str:
    """Return the address to open; the key is in its fragment, which browsers send to nobody."""
    host = lan.addresses[0]
    return f"https://{f'[{host}]' if ':' in host else host}:{lan.port}/#key={lan.api_keys[0]}"


def notice(lan: Lan) -> str:
    """Return what a person needs to know, with a QR code that terminals can show."""
    import segno  # an optional package

    from antiphon import lan_certificate

    code = io.StringIO()
    segno.make(link(lan), micro=False).terminal(code, border=2, compact=True)
    certificate = Path(lan.tls_certificate)
    return NOTICE.format(
        address=link(lan),
        code=code.getvalue().rstrip("\n"),
        fingerprint=lan_certificate.fingerprint(certificate),
        directory=certificate.parent,
    )


def private_directory(path: Path) -> Path:
    """Return a directory that only this user can enter, made if need be.

    Raises StartupError when it belongs to another user or cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
        if status.st_uid != os.getuid():
            raise StartupError(
                f"{path} belongs to another user; name another directory with "
                "--set lan.directory=DIR"
            )
        path.chmod(0o700)
    except OSError as exc:
        raise StartupError(
            f"cannot keep a certificate in {path}: {exc.strerror}; name another directory with "
            "--set lan.directory=DIR"
        ) from exc
    return path


def _access_key(directory: Path) -> str:
    path = directory / _KEY_FILE
    kept = path.read_text().strip() if path.is_file() else ""
    if not kept:
        kept = secrets.token_urlsafe(KEY_BYTES)
        _write_private(path, f"{kept}\n".encode())
    return kept


def _write_private(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
    partial.replace(path)
