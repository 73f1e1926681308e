"""What asks `antiphon up` to stop: a signal, or the end of its terminal."""

import errno
import os
import signal
from types import FrameType


class StopRequests:
    """Counts SIGINT, SIGTERM and the hang-up of the terminal, which counts once.

    The kernel sends SIGHUP to the leader of a session only. Where that is `make`, which waits for
    its child, nobody tells the child: so the terminal is looked at as well, while we are in its
    foreground. Under `nohup` a hang-up means nothing.
    """

    def __init__(self) -> None:
        self.last_signal = 0
        self._count = 0
        self._in_foreground = False
        self._hung_up = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)
        if not self._hung_up:
            signal.signal(signal.SIGHUP, self._note)

    @property
    def count(self) -> int:
        """How often we were asked until now."""
        if not self._hung_up and self._terminal_has_gone():
            self._note(signal.SIGHUP, None)
        return self._count

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGHUP:
            if self._hung_up:
                return
            self._hung_up = True
        self._count += 1
        self.last_signal = signum

    def _terminal_has_gone(self) -> bool:
        try:
            self._in_foreground = os.tcgetpgrp(0) == os.getpgrp()
        except OSError as exc:
            return exc.errno == errno.EIO and self._in_foreground
        return False
