"""Keeps one session in its files; knows what the client need not send again after that."""

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

    def note_frame(self, seq: int, position_samples: int) -> None:
        """A frame of the microphone was taken; the audio reaches to this position now."""
        self._frames.append((seq, position_samples))

    def keep(
        self, session: Session, outbox: Outbox, audio_frames: int, events_received: int
    ) -> None:
        """Write the session as it is now."""
        core = session_snapshot.take(session)
        self._forget_frames_before(core.needed_from - _DETECTION_LEAD_SAMPLES)
        self.events_received = events_received
        self._state += 1
        number, messages = outbox.unacknowledged()
        self._files.write(
            KeptSession(
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
        )

    def let_go(self, session_id: str, *, handed_over: bool) -> None:
        """The session ends here: delete its file, or leave it to another gateway."""
        if handed_over:
            self._files.hand_over(session_id)
        else:
            self._files.delete(session_id)

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
