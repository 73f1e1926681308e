"""Where sessions are kept for the case that the gateway ends: one small file each, mode 0600.

They hold what was said, so they are deleted with their session, and those that nobody comes for
when the time to resume is over. A gateway reads its own, also after it was killed, those that
another one has handed over, and those of another one that is dead.
"""

import contextlib
import os
import re
import time
from collections.abc import Container
from pathlib import Path

import msgspec

from antiphon_gateway.session_snapshot import VERSION, Snapshot

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HANDED_OVER = "handed-over"


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


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(KeptSession)


class SnapshotFiles:
    """The files of one gateway."""

    def __init__(self, runtime_dir: Path, gateway: str) -> None:
        """Make the directories, of mode 0700."""
        self._own = runtime_dir / "sessions" / gateway
        self._shared = runtime_dir / "sessions" / _HANDED_OVER
        for directory in (self._own, self._shared):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._started_s = time.time()

    def write(self, kept: KeptSession) -> None:
        """Keep a session in place of its state before."""
        path = self._own / kept.core.session_id
        unfinished = path.with_suffix(".new")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(_encoder.encode(kept))
        unfinished.replace(path)

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
            for path in self._own.parent.glob(f"*/{session_id}"):
                holder = path.parent.name
                if path.parent not in (self._own, self._shared) and (kept := _read(path)):
                    return holder, kept
        return None

    def take_from(self, holder: str, session_id: str) -> None:
        """Make a session this gateway's, if its holder still has its file."""
        with contextlib.suppress(FileNotFoundError):
            (self._own.parent / holder / session_id).replace(self._own / session_id)

    def delete(self, session_id: str) -> None:
        """Forget a session."""
        (self._own / session_id).unlink(missing_ok=True)

    def sweep(self, older_than_s: float, live: Container[str]) -> None:
        """Delete what nobody came for: left from before, or handed over, so long ago."""
        now_s = time.time()
        for path in (*self._own.iterdir(), *self._shared.iterdir()):
            with contextlib.suppress(FileNotFoundError):
                own = path.parent == self._own
                since_s = max(path.stat().st_mtime, self._started_s if own else 0.0)
                if path.name not in live and now_s - since_s >= older_than_s:
                    path.unlink()


def _read(path: Path) -> KeptSession | None:
    try:
        kept = _decoder.decode(path.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return kept if kept.core.version == VERSION else None
