"""What is said and what is secret stays out of logs, figures and the network."""

import contextlib
import socket
import struct
from pathlib import Path

import pytest
from system import SIMULATED, System, running_system
from system_client import connected

pytestmark = [pytest.mark.integration, pytest.mark.models]

HEARD = "canary word heard"
SAID = "canary word said."
TYPED = "canary word typed"
TOLD = "canary word told"
KEY = "canary-key-0123456789"


async def test_no_word_and_no_key_is_logged_counted_or_shown() -> None:
    settings = {
        **SIMULATED,
        "simulated.transcript": HEARD,
        "simulated.reply": SAID,
        "gateway.api_keys": KEY,
        "log.level": "DEBUG",
    }
    with running_system(settings) as server:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with connected(server.realtime_url, headers=headers) as client:
            await client.update(instructions=TOLD)
            await client.speak("dog_or_cat")
            assert (await client.done())["status"] == "completed"
            await client.say_text(TYPED)
            assert (await client.done())["status"] == "completed"
            await client.send("response.create", response={"canary": 10**400})
            await client.send("no.such." + TYPED)
            shown = [server.get(path) for path in ("/metrics", "/v1/status", "/readyz", "/healthz")]
        seen = server.logs() + "".join(answer.body.decode() for answer in shown if answer)
        assert "session opened" in seen
        assert "canary" not in seen


def listening(server: System) -> set[tuple[str, int]]:
    """Return the TCP addresses that the server's processes listen on (Linux)."""
    inodes = set()
    for process in server.processes.values():
        for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # a file closed meanwhile
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                host, port = fields[1].split(":")
                packed = struct.pack("<I", int(host[:8], 16))
                address = socket.inet_ntoa(packed) if len(host) == 8 else host
                found.add((address, int(port, 16)))
    return found


def test_the_shipped_configuration_listens_on_one_loopback_port_only() -> None:
    with running_system(SIMULATED) as server:
        assert listening(server) == {("127.0.0.1", server.port)}
