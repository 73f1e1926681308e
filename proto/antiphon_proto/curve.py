"""CURVE: each process's pair of keys, and who may connect. With `channel`, all that imports zmq.

A directory holds `NAME.key`, the public key of each process that is known here, and
`NAME.key_secret`, mode 0600, of those that run here. A public key that is in the directory may
connect in the role of its name; any other may not.
"""

import logging
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils import z85

from antiphon_proto.errors import ConfigurationError, StartupError

MOST_KEYS = 1_024
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_PUBLIC_KEY = re.compile(r"[\x21-\x7e]{40}")

logger = logging.getLogger(__name__)

Permit = Callable[[str, str], bool]
"""Called with a channel and a process's name: whether it may connect."""


class Pair(NamedTuple):
    """The keys of one process, Z85."""

    public: bytes
    secret: bytes


class Keys:
    """The keys that a process knows: its own pair and the public ones of others."""

    def __init__(self, directory: Path, name: str, permit: Permit, own: Path | None = None) -> None:
        """Read them. `own` is the file of the process's pair, if it is not in `directory`.

        Raises StartupError when a key is missing or others could read the secret.
        """
        self.permit = permit
        self._public = known(directory)
        path = own or directory / f"{name}.key_secret"
        remedy = f"run: antiphon keys make {name}"
        if not path.is_file():
            raise StartupError(f"{path} is missing; {remedy}")
        if _others_may_read(path.stat()):
            raise StartupError(f"{path} can be read by others; run: chmod 600 {path}")
        try:
            public, secret = zmq.auth.load_certificate(path)
        except (OSError, ValueError) as exc:
            raise StartupError(f"{path} holds no keys ({exc}); {remedy}") from exc
        if secret is None:
            raise StartupError(f"{path} holds no secret key; {remedy}")
        self.own = Pair(public, secret)

    def of(self, name: str) -> bytes:
        """Return a process's public key. Raises StartupError when it is not known here."""
        if name not in self._public:
            raise StartupError(
                f"the public key of {name} is not known here; run: antiphon keys allow {name} KEY"
            )
        return self._public[name]

    def names(self) -> dict[bytes, str]:
        """Return whose each public key is."""
        return {key: name for name, key in self._public.items()}


class Doorkeeper(ThreadAuthenticator):
    """Answers libzmq's question who may connect, in a thread of its own.

    A socket's domain is the channel that it binds. Messages of those let in carry their name.
    """

    def __init__(self, context: "zmq.Context[Any]", keys: Keys) -> None:
        super().__init__(context=context)
        self._keys = keys
        self._names = keys.names()
        for channel in ("results", "status", "control", "requests", "notices", "jobs"):
            self.configure_curve_callback(channel, self)

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether the owner of a public key (Z85) may connect to a channel."""
        name = self._names.get(key, "")
        permitted = bool(name) and self._keys.permit(domain, name)
        if not permitted:
            logger.warning("connection refused", extra={"channel": domain, "peer": name or "?"})
        return permitted

    def curve_user_id(self, client_public_key: bytes) -> str:
        """Return the name of a peer that was let in."""
        return self._names.get(z85.encode(client_public_key), "")


def known(directory: Path) -> dict[str, bytes]:
    """Return the public keys of a directory by name."""
    found: dict[str, bytes] = {}
    for path in sorted(directory.glob("*.key"))[:MOST_KEYS]:
        try:
            public, _ = zmq.auth.load_certificate(path)
        except (OSError, ValueError) as exc:
            raise StartupError(f"{path} holds no public key ({exc}); remove it") from exc
        found[path.stem] = public
    return found


def make(directory: Path, name: str) -> bytes:
    """Make the pair of a process and return its public key; one that is there stays as it is.

    Raises ConfigurationError when the name is none.
    """
    _check_name(name)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = directory / f"{name}.key_secret"
    if not secret.exists():
        _, made = zmq.auth.create_certificates(directory, name)
        Path(made).chmod(0o600)
    return zmq.auth.load_certificate(secret)[0]


def allow(directory: Path, name: str, public_key: str) -> None:
    """Let the owner of a public key (40 characters, Z85) connect in the role of a name.

    Raises ConfigurationError when name or key is none, or the name's pair was made here.
    """
    _check_name(name)
    if not _PUBLIC_KEY.fullmatch(public_key):
        raise ConfigurationError(f"public key {public_key[:60]!r} is not 40 characters of Z85")
    if (directory / f"{name}.key_secret").exists():
        raise ConfigurationError(f"{name} has its own pair of keys in {directory}")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = f'metadata\ncurve\n    public-key = "{public_key}"\n'
    (directory / f"{name}.key").write_text(text)


def _others_may_read(status: os.stat_result) -> bool:
    # A mounted secret belongs to root; the process reads it as a member of the file's group.
    by_group = status.st_uid == 0 and os.getuid() != 0
    return bool(stat.S_IMODE(status.st_mode) & (0o037 if by_group else 0o077))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name[:60]!r} is no name of a process, such as gateway-0, dispatcher or stt-1"
        )
