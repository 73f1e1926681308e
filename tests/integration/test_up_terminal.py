"""`antiphon up` and its terminal: a window that is closed, `nohup`."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from stand_ins import stand_ins

pytestmark = pytest.mark.integration

WAITS_AS_MAKE_DOES = """\
import os, signal, subprocess, sys
os.dup2(os.open(sys.argv[1], os.O_RDWR), 0)
signal.signal(signal.SIGHUP, lambda *_: None)
sys.exit(subprocess.run(sys.argv[2:]).returncode)
"""
COUNT_HANGUPS = """\
import os, signal, sys
from antiphon.stop_requests import StopRequests
if "nohup" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
requests = StopRequests()
for _ in range(2):
    os.kill(os.getpid(), signal.SIGHUP)
print(requests.count)
"""


def test_closing_the_terminal_stops_a_server_whose_leader_is_told_instead() -> None:
    with stand_ins() as server:
        terminal, inside = pty.openpty()
        up = [str(server.python), "-m", "antiphon", "up", "--port", str(server.port)]
        up += ["--set", f"bus.runtime_dir={server.runtime_dir}"]
        leader = subprocess.Popen(
            [sys.executable, "-c", WAITS_AS_MAKE_DOES, os.ttyname(inside), *up],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        os.close(inside)
        try:
            assert leader.stdout
            while "Ready" not in leader.stdout.readline():
                assert leader.poll() is None
            os.close(terminal)
            leader.communicate()
            assert leader.returncode == 0
            while server.running():
                time.sleep(0.01)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(leader.pid, signal.SIGKILL)


@pytest.mark.parametrize(("how", "count"), [("plain", "1"), ("nohup", "0")])
def test_hangups_count_once_and_not_under_nohup(how: str, count: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNT_HANGUPS, how], stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout.strip() == count
