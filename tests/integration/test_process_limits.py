"""What the kernel keeps of the server's processes and lends to them."""

import re
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from system import DISPATCHER, SIMULATED, System, system, worker_names

pytestmark = [pytest.mark.integration, pytest.mark.models]

GATEWAY = "gateway-0"
WORKERS = worker_names({"stt": 1, "llm": 1, "tts": 1})
EVERYONE = (GATEWAY, DISPATCHER, *WORKERS)
SHARED = {**SIMULATED, "bus.dispatcher": "process"}
WITH_DUMPS = ["bash", "-c", 'ulimit -S -c hard; echo 0x33 > /proc/self/coredump_filter; exec "$@"']


def limit(pid: int, name: str) -> tuple[str, str]:
    """Return the soft and the hard limit of a process, as the kernel prints them."""
    found = re.search(rf"^{name} +(\S+) +(\S+)", Path(f"/proc/{pid}/limits").read_text(), re.M)
    assert found
    return found[1], found[2]


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("this system allows no dumps at all")
    with system(SHARED) as opened:
        opened.through = [*WITH_DUMPS, "bash"]
        opened.start(*EVERYONE)
        opened.wait_ready()
        yield opened


@pytest.mark.parametrize("name", EVERYONE)
def test_a_crash_leaves_no_dump_of_what_a_process_holds(server: System, name: str) -> None:
    pid = server.pid(name)
    soft, hard = limit(pid, "Max core file size")
    assert soft == "0"
    assert hard != "0"  # who debugs may raise it
    assert int(Path(f"/proc/{pid}/coredump_filter").read_text(), 16) == 0
