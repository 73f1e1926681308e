"""`antiphon topology`: what it prints, and what it refuses, as a person runs it."""

import shlex
import subprocess
import sys
from pathlib import Path

from honcho.environ import parse_procfile

ROOT = Path(__file__).parents[2]
SHARED = """\
[[workers]]
stage = "stt"
gpus = [0]
slots = 16
gpu_memory_mib = 3000
settings = { device = "cuda" }
[[workers]]
stage = "llm"
gpus = [0]
gpu_memory_mib = 14000
[[workers]]
stage = "tts"
"""


def antiphon(directory: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "antiphon", "topology", *words]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=50)


def written(directory: Path, memory_mib: int = 23028) -> tuple[str, ...]:
    (directory / "topology.toml").write_text(SHARED)
    (directory / "cards.csv").write_text(f"0, GPU-5e3a0e0f, NVIDIA A10, {memory_mib}, 4, 0\n")
    return ("topology.toml", "--cards", "cards.csv")


def test_what_runs_where_is_shown_with_the_memory_given_away(tmp_path: Path) -> None:
    shown = antiphon(tmp_path, "check", *written(tmp_path))
    assert shown.stderr == ""
    assert shown.stdout.splitlines() == [
        "stt-0    GPU 0       3000 MiB  stt.device=cuda  stt.slots=16",
        "llm-0    GPU 0       14000 MiB",
        "tts-0    processor",
        "GPU 0: NVIDIA A10, 17000 MiB of 23028 MiB given away",
    ]


def test_a_topology_that_does_not_fit_is_one_line_and_code_2(tmp_path: Path) -> None:
    refused = antiphon(tmp_path, "check", *written(tmp_path, memory_mib=16376))
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        "antiphon: topology.toml: GPU 0 (NVIDIA A10) has 16376 MiB and is asked for 17000: "
        "stt-0 3000, llm-0 14000; lower gpu_memory_mib or processes, or use another card"
    ]


def test_the_procfile_in_the_repository_is_what_it_prints(tmp_path: Path) -> None:
    printed = antiphon(tmp_path, "render", "--procfile")
    assert printed.stdout == (ROOT / "Procfile").read_text()


def test_a_procfile_of_several_gateways_has_the_dispatcher(tmp_path: Path) -> None:
    flags = ("--set", "gateway.processes=2", "--set", "bus.dispatcher=process")
    printed = antiphon(tmp_path, "render", "--procfile", *flags)
    said = shlex.join(flags)
    assert printed.stdout.splitlines() == [
        f"gateway-0: antiphon-gateway --index 0 {said}",
        f"gateway-1: antiphon-gateway --index 1 {said}",
        f"dispatcher: antiphon-dispatcher {said}",
        f"stt-0: antiphon-worker stt --index 0 {said}",
        f"llm-0: antiphon-worker llm --index 0 {said}",
        f"tts-0: antiphon-worker tts --index 0 {said}",
    ]


def test_a_dispatcher_of_its_own_is_an_entry_for_one_gateway_too(tmp_path: Path) -> None:
    printed = antiphon(tmp_path, "render", "--procfile", "--set", "bus.dispatcher=process")
    entries = parse_procfile(printed.stdout).processes
    assert list(entries) == ["gateway", "dispatcher", "stt-0", "llm-0", "tts-0"]
    assert entries["dispatcher"] == "antiphon-dispatcher --set bus.dispatcher=process"


def test_flags_of_the_rendering_reach_every_program_and_a_group_wins(tmp_path: Path) -> None:
    flags = ("--set", "bus.runtime_dir=/run/antiphon", "--set", "stt.slots=1")
    printed = antiphon(tmp_path, "render", "--supervisor", *written(tmp_path), *flags)
    lines = printed.stdout.splitlines()
    commands = [line for line in lines if line.startswith("command = ")]
    assert len(commands) == 4
    assert all("--set bus.runtime_dir=/run/antiphon" in command for command in commands)
    assert commands[1].endswith("--set stt.device=cuda --set stt.slots=16")
    assert 'environment = CUDA_DEVICE_ORDER="PCI_BUS_ID",CUDA_VISIBLE_DEVICES="0"' in lines
    assert "supervision.topology" not in printed.stdout
