"""What the kernel keeps of the server's processes and lends to them."""

import os
import re
import resource
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from system import DISPATCHER, ONE_EACH, SIMULATED, System, system, worker_names
from system_client import connected

from antiphon_proto import config, open_files

pytestmark = [pytest.mark.integration, pytest.mark.models]

GATEWAY = "gateway-0"
WORKERS = worker_names(ONE_EACH)
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


SESSIONS = 100
CROWDED = {
    **SIMULATED,
    "gateway.max_sessions": SESSIONS,
    "gateway.max_requests": 1,
    "gateway.max_decoders": 1,
}
NEEDED = open_files.needed(
    config.load(environment={}, settings=[f"{key}={value}" for key, value in CROWDED.items()])
)


def with_files(count: int, *, which: str = "") -> list[str]:
    """Return a program that runs another one with so many open files at most."""
    return ["bash", "-c", f'ulimit {which} -n {count}; exec "$@"', "bash"]


def test_a_gateway_that_could_not_serve_its_sessions_does_not_start() -> None:
    with system(CROWDED) as server:
        server.through = with_files(NEEDED - 2)
        server.start(GATEWAY)
        assert server.wait_ended(GATEWAY) == 2
        said = server.log(GATEWAY)
    assert f"needs {NEEDED} open files and the system allows {NEEDED - 2}" in said
    assert said.rstrip().endswith(f"or set gateway.max_sessions={SESSIONS - 1}")


async def test_with_just_the_files_it_needs_every_session_is_served() -> None:
    with system(CROWDED) as server:
        server.through = with_files(NEEDED)
        server.start(GATEWAY, *WORKERS)
        server.wait_ready()
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(connected(server.realtime_url, extended=True))
                for _ in range(SESSIONS)
            ]
            for client in clients:
                await client.update()
            # The second file of each is for when it comes back.
            assert len(os.listdir(f"/proc/{server.pid(GATEWAY)}/fd")) <= NEEDED - SESSIONS
        server.assert_no_traceback()


def test_a_low_limit_of_its_own_is_raised() -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 1_024:
        pytest.skip("this system allows hardly any files")
    with system(CROWDED) as server:
        server.through = with_files(64, which="-S")
        server.start(GATEWAY)
        server.wait_for(lambda: server.get("/healthz") is not None, 60)
        assert int(limit(server.pid(GATEWAY), "Max open files")[0]) >= 1_024
