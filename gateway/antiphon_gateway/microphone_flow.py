"""Whether a client shall hold its microphone back for a while, because the server is behind. Pure.

What counts is how long the client's next message was not taken because the voice activity detector
had not examined those before it: that is where a microphone's audio waits when the machine is too
busy. A recording that is sent at once waits too, but each time only for a batch of the detector.
What waits for a transcript does not count: a session keeps a minute of it.
"""

from typing import Literal

PAUSE_AFTER_S = 1.0
"""What came in less time is soon made up for; a pause would only delay it further."""
LEAST_PAUSE_S = 0.5
"""In this time the client gets the word, and what it had sent before arrives."""
_LOOK_AGAIN_S = 0.05

Word = Literal["pause", "resume"]


class MicrophoneFlow:
    """Pauses once a message has waited too long; resumes when nothing is left to examine."""

    def __init__(self) -> None:
        self._waits_since_s: float | None = None
        self._paused_since_s: float | None = None

    @property
    def paused(self) -> bool:
        """Whether the client was told to pause, and not to resume."""
        return self._paused_since_s is not None

    def waits(self, now_s: float) -> None:
        """The next message is not taken from now on."""
        self._waits_since_s = now_s

    def goes_on(self) -> None:
        """It can be taken."""
        self._waits_since_s = None

    def judge(self, now_s: float, *, examined: bool) -> Word | None:
        """Return what to tell the client now; `examined`: the detector has seen all its audio."""
        waits_since_s, paused_since_s = self._waits_since_s, self._paused_since_s
        if paused_since_s is not None:
            if not examined or waits_since_s is not None or now_s < paused_since_s + LEAST_PAUSE_S:
                return None
            self._paused_since_s = None
            return "resume"
        if waits_since_s is None or now_s < waits_since_s + PAUSE_AFTER_S:
            return None
        self._paused_since_s = now_s
        return "pause"

    def due_s(self, now_s: float) -> float | None:
        """Return when to judge again; None: not before `waits`."""
        if self._paused_since_s is not None:
            return max(self._paused_since_s + LEAST_PAUSE_S, now_s + _LOOK_AGAIN_S)
        return None if self._waits_since_s is None else self._waits_since_s + PAUSE_AFTER_S

    def forget(self) -> bool:
        """Begin anew with another connection; return whether the client was paused."""
        was_paused, self._paused_since_s = self.paused, None
        return was_paused
