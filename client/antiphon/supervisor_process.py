"""Runs supervisord so that it ends with its parent, and its programs with it.

`python -m antiphon.supervisor_process PARENT_PID [supervisord options]`. On Linux the kernel sends
SIGTERM to supervisord when `antiphon up` dies in any way, and SIGKILL to the programs when
supervisord does. Elsewhere a killed `antiphon up` leaves its programs running.
"""

import importlib
import os
import runpy
import signal
import sys
import time
from typing import Any

from antiphon import parent_death

LOOP_PERIOD_S = 0.1
"""supervisord acts on an ended program at its second next wake-up; its own period is 1 s."""
RESTART_PERIOD_S = 1.0
"""A failing program is not started more often than this; a killed one is started at once."""


def main() -> None:
    """Become supervisord."""
    parent = int(sys.argv.pop(1))
    if sys.platform == "linux":
        parent_death.signaller(signal.SIGTERM)()
        # The setting does not pass over a fork, but over the exec that follows it.
        os.register_at_fork(after_in_child=parent_death.signaller(signal.SIGKILL))
        if os.getppid() != parent:
            return
    _wake_often()
    _restart_failing_programs_slowly()
    _stop_equals_side_by_side()
    runpy.run_module("supervisor.supervisord", run_name="__main__", alter_sys=True)


def _wake_often() -> None:
    poller = importlib.import_module("supervisor.poller")
    waits = poller.Poller.poll

    def poll(self: object, timeout: float) -> object:
        return waits(self, min(timeout, LOOP_PERIOD_S))

    poller.Poller.poll = poll


def _restart_failing_programs_slowly() -> None:
    process = importlib.import_module("supervisor.process")
    exited = importlib.import_module("supervisor.states").ProcessStates.EXITED
    restarts = process.Subprocess.transition

    def transition(self: Any) -> None:
        if self.state == exited:
            failed_by_itself = (self.exitstatus or 0) > 0
            since = self.laststop if failed_by_itself else self.laststart
            if 0 <= time.time() - since < RESTART_PERIOD_S:
                return
        restarts(self)

    process.Subprocess.transition = transition


def _stop_equals_side_by_side() -> None:
    """Stop all groups of one priority at a time; supervisord itself waits for each by itself."""
    supervisord = importlib.import_module("supervisor.supervisord").Supervisor

    def stop(self: Any) -> None:
        for group in self.stop_groups:
            if group.config.priority == self.stop_groups[-1].config.priority:
                group.stop_all()

    supervisord.ordered_stop_groups_phase_1 = stop


if __name__ == "__main__":
    main()
