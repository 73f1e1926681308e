"""The server of a measurement."""

import signal
import subprocess
import sys
import time

import pytest
from source_tree import ROOT
from system import SIMULATED, children, is_running

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

PROGRAM = """
import sys
import time
from antiphon.private_server import own_server
with own_server(sys.argv[1:]):
    pass
"""
UP_AND_ITS_OWN = 2


def test_a_measurement_that_is_terminated_takes_its_server_along() -> None:
    settings = [f"{name}={value}" for name, value in SIMULATED.items()]
    started: list[int] = []
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *settings], cwd=ROOT) as measurement:
        while len(started) < UP_AND_ITS_OWN:
            assert measurement.poll() is None
            time.sleep(0.01)
            servers = children(measurement.pid)
            started = [*servers, *(one for up in servers for one in children(up))]
        measurement.terminate()
        assert measurement.wait(30) == 128 + signal.SIGTERM
    assert not any(map(is_running, started))
