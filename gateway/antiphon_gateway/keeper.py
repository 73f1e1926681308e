"""Keeps one session in its files; knows what the client need not send again after that.

A session whose files cannot be written goes on: it only ends with its gateway.
"""

import contextlib
import logging
from collections import deque

from antiphon_gateway import session_snapshot
from antiphon_gateway.outbox import Outbox
from antiphon_gateway.session import Session
from antiphon_gateway.snapshot_files import KeptSession, SnapshotFiles
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ

_REMEMBERED_FRAMES = 3_000
_DETECTION_LEAD_SAMPLES = STT_SAMPLE_RATE_HZ // 2
"""Voice activity detection needs so much audio before the speech that it is to find again."""
_TICKET = '{"type":"antiphon.session"'
_FLOW = '{"type":"antiphon.flow"'

_log = logging.getLogger(__name__)


class Keeper:
    """The kept state of one session."""

    def __init__(self, files: SnapshotFiles, token_digest: bytes, kept: KeptSession | None) -> None:
        self._files = files
        self._token_digest = token_digest
        self.events_received = 0 if kept is None else kept.events_received
        """Events of the client that are kept."""
        self.last_frame = None if kept is None else kept.last_frame
        """The microphone's frames up to this one are not needed any more."""
        self._samples = 0 if kept is None else kept.microphone_samples
        self._state = 0 if kept is None else kept.state
        self._frames: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED_FRAMES)
        self._warned = False

    def note_frame(self, seq: int, position_samples: int) -> None:
        """A frame of the microphone was taken; the audio reaches to this position now."""
        self._frames.append((seq, position_samples))

    def keep(
        self, session: Session, outbox: Outbox, audio_frames: int, events_received: int
    ) -> None:
        """Write the session as it is now; where that fails, nothing of it is kept."""
        core = session_snapshot.take(session)
        self._forget_frames_before(core.needed_from - _DETECTION_LEAD_SAMPLES)
        self.events_received = events_received
        self._state += 1
        number, messages = outbox.unacknowledged()
        kept = KeptSession(
            core,
            self._token_digest,
            number,
            tuple(_kept(message) for message in messages),
            audio_frames,
            events_received,
            self.last_frame,
            self._samples,
            self._state,
        )
        try:
            self._files.write(kept)
        except OSError as error:
            self._warn(core.session_id, error)
            # Its client will know more than the state before tells: nobody may go on from that.
            with contextlib.suppress(OSError):
                self._files.delete(core.session_id)

    def let_go(self, session_id: str, *, handed_over: bool) -> None:
        """The session ends here: delete its file, or leave it to another gateway."""
        try:
            if handed_over:
                self._files.hand_over(session_id)
            else:
                self._files.delete(session_id)
        except OSError as error:
            self._warn(session_id, error)

    def _warn(self, session_id: str, error: OSError) -> None:
        """Log what is wrong with the files, once a session."""
        if not self._warned:
            note = {"path": str(self._files.directory), "error": error.strerror}
            _log.warning(
                "session cannot be kept and ends with its gateway; make room, or set "
                "bus.runtime_dir to another directory",
                extra={"session_id": session_id, **note},
            )
        self._warned = True

    def _forget_frames_before(self, sample: int) -> None:
        while self._frames and self._frames[0][1] <= sample:
            self.last_frame, self._samples = self._frames.popleft()


def _kept(message: str | bytes) -> tuple[bool, bytes]:
    """Return whether a message is text, and its bytes; the token is not kept.

    Who has no token cannot resume, so that message is never sent again. A gateway that goes on with
    the session does not know of a pause of this one.
    """
    if isinstance(message, bytes):
        return False, message
    if message.startswith(_FLOW):
        return True, message.replace('"pause"', '"resume"').encode()
    return True, b"{}" if message.startswith(_TICKET) else message.encode()
