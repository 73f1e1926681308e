"""Where sessions are kept for the case that the gateway ends: a directory of two small files each.

The files, of mode 0600, are written in turn and in place, with a checksum: a gateway that is killed
while it writes one leaves the other, which is what its client knows of. A new file and a rename for
each state would cost thirty times as much, on the event loop. They hold what was said, so they are
deleted with their session, and those that nobody comes for when the time to resume is over. A
gateway reads and sweeps its own, also after it was killed, those that another one has handed over,
and those of another one that is dead.
"""

import contextlib
import errno
import os
import re
import struct
import time
import zlib
from collections.abc import Callable, Container
from pathlib import Path

import msgspec

from antiphon_gateway.session_snapshot import VERSION, Snapshot

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HANDED_OVER = "handed-over"
_FILES = ("0", "1")
_HEAD = struct.Struct("<QII")
"""Number and size of the state behind it, and the checksum of it and its number."""
_MOST = 2**32 - 1


class KeptSession(msgspec.Struct, frozen=True, array_like=True):
    """A session and its connection's state."""

    core: Snapshot
    token_digest: bytes
    sent: int
    """Number of the last of `messages`."""
    messages: tuple[tuple[bool, bytes], ...]
    """The newest messages to the client, which may lack them; whether each is text."""
    audio_frames: int
    """Binary frames to the client so far."""
    events_received: int
    last_frame: int | None
    """The microphone's frames up to this one are not needed any more."""
    microphone_samples: int
    """Position of the microphone's audio behind that frame."""
    state: int = 0
    """Number of this state of the session."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(KeptSession)


class SnapshotFiles:
    """The files of one gateway."""

    def __init__(self, runtime_dir: Path, gateway: str) -> None:
        """Make the directories, of mode 0700."""
        self.directory = runtime_dir / "sessions"
        """Of all gateways."""
        self._own = self.directory / gateway
        self._shared = self.directory / _HANDED_OVER
        for directory in (self._own, self._shared):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._started_s = time.time()
        self._dead_s: dict[str, float] = {}
        """When other gateways were found dead."""

    def write(self, kept: KeptSession) -> None:
        """Keep a state of a session in place of the last but one. Raises OSError."""
        body = _encoder.encode(kept)
        head = _HEAD.pack(kept.state, len(body), zlib.crc32(body, kept.state & _MOST))
        path = self._own / kept.core.session_id / _FILES[kept.state % 2]
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            if os.writev(descriptor, (head, body)) < len(head) + len(body):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        finally:
            os.close(descriptor)

    def hand_over(self, session_id: str) -> None:
        """Let any gateway go on with a session."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._own / session_id)
            (self._own / session_id).replace(self._shared / session_id)

    def take(self, session_id: str) -> KeptSession | None:
        """Return a session that no gateway has; it is this one's from now on."""
        if not _NAME.fullmatch(session_id):
            return None
        self.take_from(_HANDED_OVER, session_id)
        return _read(self._own / session_id)

    def elsewhere(self, session_id: str) -> tuple[str, KeptSession] | None:
        """Return the other gateway that keeps a session, and what it kept last."""
        if _NAME.fullmatch(session_id):
            for path in self.directory.glob(f"*/{session_id}"):
                holder = path.parent.name
                if path.parent not in (self._own, self._shared) and (kept := _read(path)):
                    return holder, kept
        return None

    def take_from(self, holder: str, session_id: str) -> None:
        """Make a session this gateway's, if its holder still has its files."""
        held, own = self.directory / holder / session_id, self._own / session_id
        if held.exists():
            _remove(own)
        with contextlib.suppress(FileNotFoundError):
            held.replace(own)

    def delete(self, session_id: str) -> None:
        """Forget a session."""
        _remove(self._own / session_id)

    def sweep(
        self, older_than_s: float, live: Container[str], is_alive: Callable[[str], bool]
    ) -> None:
        """Delete what nobody came for so long: handed over, or of a gateway that is dead.

        `live` are this one's sessions; `is_alive` tells of another gateway, which sweeps its own.
        Of a dead one the time counts from the first sweep that finds it so.
        """
        now_s = time.time()
        since_s = {_HANDED_OVER: 0.0, self._own.name: self._started_s}
        for holder in {each.name for each in self.directory.iterdir()} - since_s.keys():
            if is_alive(holder):
                self._dead_s.pop(holder, None)
            else:
                since_s[holder] = self._dead_s.setdefault(holder, now_s)
        for path in self.directory.glob("*/*"):
            if path.name in live or path.parent.name not in since_s:
                continue
            with contextlib.suppress(OSError):  # the next sweep tries again
                if not path.is_dir():  # of an earlier version
                    path.unlink()
                    continue
                changed_s = max(each.stat().st_mtime for each in (path, *path.iterdir()))
                if now_s - max(changed_s, since_s[path.parent.name]) >= older_than_s:
                    _remove(path)


def _read(session: Path) -> KeptSession | None:
    """Return the newest state in a session's directory, if there is one that we know to read."""
    states = filter(None, (_state(session / name) for name in _FILES))
    try:
        kept = _decoder.decode(max(states, default=(0, b""))[1])
    except msgspec.DecodeError:
        return None
    return kept if kept.core.version == VERSION else None


def _state(path: Path) -> tuple[int, bytes] | None:
    """Return the number of a state and the state, if the file holds a whole one."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        written = path.read_bytes()
        if len(written) >= _HEAD.size:
            number, size, checksum = _HEAD.unpack_from(written)
            body = written[_HEAD.size : _HEAD.size + size]
            if len(body) == size and zlib.crc32(body, number & _MOST) == checksum:
                return number, body
    return None


def _remove(session: Path) -> None:
    for name in _FILES:
        (session / name).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        session.rmdir()
