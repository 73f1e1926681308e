"""`antiphon up --topology` with real processes: who sees which card, and what is not started."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from stand_ins import StandIns, stand_ins

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

TOPOLOGY = """\
[[workers]]
stage = "stt"
gpus = [0, 1]
gpu_memory_mib = 3000
settings = { device = "cuda" }
[[workers]]
stage = "llm"
gpus = [1]
gpu_memory_mib = 14000
[[workers]]
stage = "tts"
"""


@pytest.fixture(params=["supervisord", "builtin"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIns]:
    with stand_ins() as environment:
        environment.supervisor = request.param
        # Whatever is set for the terminal, the file decides.
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
        monkeypatch.setenv("PATH", f"{environment.root}{os.pathsep}{os.environ['PATH']}")
        (environment.root / "topology.toml").write_text(TOPOLOGY)
        yield environment


def cards(server: StandIns, memory_mib: int) -> None:
    """Have nvidia-smi tell of two cards."""
    program = server.root / "nvidia-smi"
    rows = "".join(f"echo {n}, GPU-{n}, NVIDIA A10, {memory_mib}, 4, 0\n" for n in range(2))
    program.write_text(f"#!/bin/sh\n{rows}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def visible(pid: int) -> str | None:
    """Return a process's CUDA_VISIBLE_DEVICES, None when it has none."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    values = dict(entry.split("=", 1) for entry in variables if "=" in entry)
    if "CUDA_VISIBLE_DEVICES" in values and values["CUDA_VISIBLE_DEVICES"] != "7":
        assert values["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    return values.get("CUDA_VISIBLE_DEVICES")


def test_each_worker_sees_the_card_that_the_file_gives_it(server: StandIns) -> None:
    cards(server, 23028)
    process = server.up("--topology", str(server.root / "topology.toml"))
    assert process.stdout
    assert any("Ready" in line for line in process.stdout)
    wanted = {"gateway": "7", "stt-0": "0", "stt-1": "1", "llm-0": "1", "tts-0": ""}
    seen = {name: visible(pid) for name, pid in server.once_started(*wanted).items()}
    process.terminate()
    process.communicate()
    assert seen == wanted


def test_a_topology_that_does_not_fit_starts_nothing(server: StandIns) -> None:
    cards(server, 16376)
    process = server.up("--topology", str(server.root / "topology.toml"))
    output, _ = process.communicate()
    assert process.returncode == 2
    assert "GPU 1 (NVIDIA A10) has 16376 MiB and is asked for 17000" in output
    assert server.started() == []
