"""`make bench-sessions`: how many talking sessions one gateway process carries. See README.md."""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from antiphon.private_server import own_server
from antiphon_proto.errors import AntiphonError
from bench.jitter_process import Overshoot, probing
from bench.statistics import percentile

CLIP = Path(__file__).parents[2] / "tests" / "data" / "speech" / "go_forward.wav"
STEPS = (25, 50, 75, 100, 150, 200, 250, 300, 400)
LEVEL_MS = 20.0
FEW = 8
"""Sessions whose turns are the nominal ones. One alone has one phase of its frames to the windows
of the detector, and a turn takes up to 40 ms more in others, however little there is to do."""
SETTINGS = (
    "stt.engine=simulated",
    "llm.engine=simulated",
    "tts.engine=simulated",
    "stt.slots=256",
    "llm.slots=512",
    "tts.slots=256",
    "simulated.llm_first_token_ms=0",
    "gateway.max_sessions=1024",
    "gateway.admission_queue_wait_ms=0",
)


class Turns(NamedTuple):
    """How long turns take."""

    p50_ms: float = 0.0
    p95_ms: float = 0.0


class Step(NamedTuple):
    """What so many sessions brought."""

    sessions: int
    hop_p50_ms: float
    hop_p95_ms: float
    turn_added_p50_ms: float
    turn_added_p95_ms: float
    turns: int
    gateway_cpu: float
    """Cores."""
    workers_cpu: float
    load_cpu: float
    """Of the generator, which has the same cores."""
    dropped: int
    closed: int
    overshoot: Overshoot
    late_p99_ms: float

    @property
    def holds(self) -> bool:
        """Whether the gateway carries them."""
        added = max(self.hop_p95_ms, self.turn_added_p95_ms)
        return added <= LEVEL_MS and not self.dropped and not self.closed


def _status(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/status", timeout=20) as answer:
        status: dict[str, Any] = json.load(answer)
        return status


def pids(port: int) -> tuple[int, list[int]]:
    """Return the process of the gateway and those of its workers."""
    status = _status(port)
    workers = [w["pid"] for stage in status["stages"].values() for w in stage["workers"]]
    return status["pid"], workers


def cpu_s(of: Sequence[int]) -> float:
    """Return the processor time that some processes have used."""
    total = 0.0
    for pid in of:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


_NO_TURNS = Turns()


async def _step(port: int, sessions: int, seconds: float, nominal: Turns = _NO_TURNS) -> Step:
    """Load the server with so many sessions; what is `nominal` is taken off their turns."""
    gateway, workers = pids(port)
    command = [sys.executable, "-m", "bench.sessions.load", "--port", str(port)]
    command += ["--sessions", str(sessions), "--seconds", str(seconds), "--clip", str(CLIP)]
    load = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert load.stderr
    assert load.stdout
    said = b""
    while b"measure" not in (line := await load.stderr.readline()):
        if not line:
            raise SystemExit(f"the load generator ended:\n{said.decode()}")
        said += line
    parts = ([gateway], workers)
    before_s = [cpu_s(pids) for pids in parts]
    async with probing() as probe:
        await load.stderr.readline()
        gateway_cpu, workers_cpu = (
            (cpu_s(pids) - used_s) / seconds for pids, used_s in zip(parts, before_s, strict=True)
        )
    seen = json.loads(await load.stdout.read())
    await load.wait()
    turns_ms = seen["turns_ms"]
    return Step(
        sessions,
        percentile(seen["hops_ms"], 50) or float("inf"),
        percentile(seen["hops_ms"], 95) or float("inf"),
        (percentile(turns_ms, 50) or 0.0) - nominal.p50_ms,
        (percentile(turns_ms, 95) or 0.0) - nominal.p95_ms,
        len(turns_ms),
        gateway_cpu,
        workers_cpu,
        seen["cpu_s"] / seconds,
        seen["dropped_frames"],
        seen["closed"],
        probe.overshoot,
        seen["late_p99_ms"],
    )


HEAD = (
    "sessions   hop p50   hop p95   turn +p50   turn +p95   turns   gateway   workers   load   "
    "ms/session-s: gateway workers load   dropped   jitter p99 / max   load late p99"
)


def _row(step: Step, alone: Step) -> str:
    """`alone`: the probes and one session, whose time is none of the others'."""

    def each_ms(cores: float, cores_alone: float) -> float:
        return 1000 * (cores - cores_alone) / max(1, step.sessions - 1)

    gateway_ms = each_ms(step.gateway_cpu, alone.gateway_cpu)
    workers_ms = each_ms(step.workers_cpu, alone.workers_cpu)
    load_ms = each_ms(step.load_cpu, alone.load_cpu)
    return (
        f"{step.sessions:8} {step.hop_p50_ms:7.1f}ms {step.hop_p95_ms:7.1f}ms "
        f"{step.turn_added_p50_ms:9.1f}ms {step.turn_added_p95_ms:9.1f}ms {step.turns:7} "
        f"{100 * step.gateway_cpu:8.0f}% {100 * step.workers_cpu:8.0f}% "
        f"{100 * step.load_cpu:5.0f}% "
        f"{gateway_ms:21.2f} {workers_ms:7.2f} {load_ms:4.2f} "
        f"{step.dropped:9} {step.overshoot.p99_ms:8.1f} / {step.overshoot.max_ms:.0f} ms "
        f"{step.late_p99_ms:12.1f} ms"
    )


def _shares(step: Step) -> str:
    """Say who used the machine."""
    whole = step.gateway_cpu + step.workers_cpu + step.load_cpu
    parts = (step.gateway_cpu, step.workers_cpu, step.load_cpu)
    gateway, workers, load = (round(100 * part / whole) for part in parts)
    return (
        f"of {whole:.2f} cores at {step.sessions} sessions the gateway used {gateway} %, the "
        f"workers {workers} %, the load {load} %; the machine has {os.cpu_count()}"
    )


async def _measure(port: int, steps: Sequence[int], seconds: float, *, on: bool) -> list[Step]:
    alone = await _step(port, 1, seconds)
    few = await _step(port, FEW, max(seconds, 24.0))
    nominal = Turns(few.turn_added_p50_ms, few.turn_added_p95_ms)
    print(
        f"{FEW} sessions: end of speech to first audio {nominal.p50_ms:.0f} ms, "
        f"p95 {nominal.p95_ms:.0f} ms (the nominal turns)"
    )
    print(HEAD)
    print(_row(few, alone), flush=True)
    found = []
    for sessions in steps:
        found.append(await _step(port, sessions, seconds, nominal))
        print(_row(found[-1], alone), flush=True)
        if not found[-1].holds and not on:
            break
    return found


def main() -> int:
    """Return 0 when at least one step could be measured, 2 when the server did not start."""
    parser = argparse.ArgumentParser(prog="make bench-sessions", description=__doc__)
    parser.add_argument("--sessions", type=int, action="append", help="a step; may be repeated")
    parser.add_argument("--seconds", type=float, default=16.0, help="of each step")
    parser.add_argument("--go-on", action="store_true", help="also after a step that fails")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    try:
        with own_server([*SETTINGS, *arguments.settings]) as url:
            port = urllib.parse.urlsplit(url).port
            assert port
            steps = arguments.sessions or STEPS
            found = asyncio.run(_measure(port, steps, arguments.seconds, on=arguments.go_on))
    except AntiphonError as exc:
        print(exc, file=sys.stderr)
        return 2
    carried = max((step.sessions for step in found if step.holds), default=0)
    print(
        f"one gateway process carries {carried} talking sessions with added p95 <= {LEVEL_MS:g} ms"
    )
    if found:
        print(_shares(found[-1]))
    if any(step.overshoot.p99_ms >= 5 or step.overshoot.max_ms >= 50 for step in found):
        print("the machine was too busy for the times to mean much: see the jitter")
    if arguments.json:
        arguments.json.write_text(json.dumps([step._asdict() for step in found], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
