"""Runs supervisord so that it ends with its parent, and its programs with it.

`python -m antiphon.supervisor_process PARENT_PID [supervisord options]`. On Linux the kernel sends
SIGTERM to supervisord when `antiphon up` dies in any way, and SIGKILL to the programs when
supervisord does. Elsewhere a killed `antiphon up` leaves its programs running.
"""

import ctypes
import importlib
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1
LOOP_PERIOD_S = 0.1
"""supervisord acts on an ended program at its second next wake-up; its own period is 1 s."""


def main() -> None:
    """Become supervisord."""
    parent = int(sys.argv.pop(1))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        # The setting does not pass over a fork, but over the exec that follows it.
        os.register_at_fork(
            after_in_child=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        )
        if os.getppid() != parent:
            return
    _wake_often()
    runpy.run_module("supervisor.supervisord", run_name="__main__", alter_sys=True)


def _wake_often() -> None:
    poller = importlib.import_module("supervisor.poller")
    waits = poller.Poller.poll

    def poll(self: object, timeout: float) -> object:
        return waits(self, min(timeout, LOOP_PERIOD_S))

    poller.Poller.poll = poll


if __name__ == "__main__":
    main()
