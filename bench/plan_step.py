"""So many people at a real server for a while: how long they waited, and who used the machine."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from antiphon import readiness
from antiphon_proto.config import Gateway
from antiphon_proto.messages import STAGES
from bench.jitter_process import Overshoot, probing
from bench.sessions.__main__ import cpu_s, pids
from bench.statistics import percentile

THINK_S = (1.5, 5.5)
"""From the end of a reply as it is sent, so that nobody speaks over what is still heard."""
WARM_S = 10.0
_SAMPLE_S = 0.5


class Step(NamedTuple):
    """So many people at the real server."""

    people: int
    waits_ms: list[float]
    """For the first audio, from the end of speech; those still waiting beyond the bar as well."""
    busy: Mapping[str, float]
    """The slots of each stage that were occupied, and the cores of the machine; 0 to 1."""
    gateway_cores: float
    load_cores: float
    other_cores: float
    """Used by what belongs to neither server nor load, or taken from the machine."""
    lost: int
    """Frames that were dropped and connections that were closed."""
    overshoot: Overshoot

    @property
    def p50_ms(self) -> float:
        """The median wait."""
        return percentile(self.waits_ms, 50) or float("inf")

    @property
    def p95_ms(self) -> float:
        """What 95 of 100 waits are within."""
        return percentile(self.waits_ms, 95) or float("inf")


async def step(port: int, people: int, seconds: float, bar_ms: float, seed: int) -> Step:
    """Let so many people talk for so long, once they have begun."""
    command = [sys.executable, "-m", "bench.plan_load", "--port", str(port), "--seed", str(seed)]
    command += ["--people", str(people), "--seconds", str(seconds), "--warm-s", str(WARM_S)]
    command += ["--think-s", *map(str, THINK_S)]
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
    gateway, workers = pids(port)
    before_s = (cpu_s([gateway]), cpu_s(workers), _machine_s())
    async with probing() as probe, asyncio.TaskGroup() as group:
        samples: list[dict[str, float]] = []
        sampling = group.create_task(_sample(port, samples), name="occupied slots")
        await load.stderr.readline()
        after_s = (cpu_s([gateway]), cpu_s(workers), _machine_s())
        sampling.cancel()
    gateway_cores, workers_cores, machine_cores = (
        (after - before) / seconds for before, after in zip(before_s, after_s, strict=True)
    )
    seen = json.loads(await load.stdout.read())
    await load.wait()
    busy: dict[str, float] = {
        stage: sum(sample[stage] for sample in samples) / len(samples) for stage in STAGES
    }
    busy["cores"] = machine_cores / (os.cpu_count() or 1)
    return Step(
        people=people,
        waits_ms=seen["waits_ms"] + [wait for wait in seen["waiting_ms"] if wait > bar_ms],
        busy=busy,
        gateway_cores=gateway_cores,
        load_cores=seen["cores"],
        other_cores=max(0.0, machine_cores - gateway_cores - workers_cores - seen["cores"]),
        lost=seen["dropped"] + seen["closed"],
        overshoot=probe.overshoot,
    )


async def _sample(port: int, samples: list[dict[str, float]]) -> None:
    while True:
        status = await asyncio.to_thread(readiness.status, Gateway(port=port)) or {}
        stages = status.get("stages", {})
        samples.append(
            {stage: stages[stage]["running"] / stages[stage]["slots"] for stage in STAGES}
        )
        await asyncio.sleep(_SAMPLE_S)


def _machine_s() -> float:
    """Return the processor time that this machine's cores have worked, or were taken from it."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    user, nice, system, _, _, interrupts, soft, stolen, *_ = fields
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")
