"""`python -m bench.plan`: does a server hold as many conversations as `antiphon plan` says?

Simulated engines, which take as long as told, are measured as `antiphon plan` measures; a few
people tell how late the server hears that a turn is over. Then more and more people talk with the
server until the bar is missed. See README.md.
"""

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from antiphon.plan import conversation
from antiphon_gateway.planning.capacity import capacity, outcome
from antiphon_proto import config
from antiphon_proto.config import Config
from antiphon_proto.errors import AntiphonError
from antiphon_proto.messages import STAGES
from antiphon_proto.planning import Conversation, Figures, Machines, Outcome, Question
from bench.jitter_process import Overshoot, probing
from bench.plan_load import recordings
from bench.server import own_server
from bench.sessions.__main__ import cpu_s, pids
from bench.sessions.line import FRAME_MS
from bench.sessions.load import SILENCE_MS
from bench.statistics import percentile

REPLY = "The old mill stands at the end of the village. Nobody has lived there for thirty years."
SETTINGS = (
    "stt.engine=simulated",
    "llm.engine=simulated",
    "tts.engine=simulated",
    "stt.slots=4",
    "llm.slots=8",
    "tts.processes=4",
    "simulated.stt_ms=60",
    "simulated.llm_first_token_ms=150",
    "simulated.llm_token_ms=20",
    "simulated.tts_first_audio_ms=150",
    "simulated.tts_real_time_factor=0.4",
    f"simulated.reply={REPLY}",
    "gateway.admission_queue_wait_ms=0",
    "gateway.max_sessions=1024",
    "turn_taking.detector=loudness",
)
THINK_S = (1.5, 5.5)
"""From the end of a reply as it is sent, so that nobody speaks over what is still heard."""
SHARES = (0.75, 0.9, 1.05, 1.2)
"""Of the people predicted; those that are tried."""
WARM_S = 20.0
TOLERANCE = 0.15
HEAD = "people  turns    p50    p95  predicted p50    p95   gateway  others   lost  timer p99 / max"
_LEAST_CORES = 0.1
FEW, MORE = 3, 12
"""People who tell how late silence is heard, and what the gateway takes for each."""
FEW_S = 45.0


class Step(NamedTuple):
    """So many people at the real server."""

    people: int
    turns: int
    p50_ms: float
    p95_ms: float
    gateway_cores: float
    load_cores: float
    other_cores: float
    """Used by what belongs to neither server nor load, or taken from the machine."""
    lost: int
    """Frames that were dropped and connections that were closed."""
    overshoot: Overshoot


async def _step(port: int, people: int, seconds: float, bar_ms: float) -> Step:
    command = [sys.executable, "-m", "bench.plan_load", "--port", str(port)]
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
    async with probing() as probe:
        await load.stderr.readline()
        after_s = (cpu_s([gateway]), cpu_s(workers), _machine_s())
    gateway_cores, workers_cores, machine_cores = (
        (after - before) / seconds for before, after in zip(before_s, after_s, strict=True)
    )
    seen = json.loads(await load.stdout.read())
    await load.wait()
    waits_ms = seen["waits_ms"] + [wait for wait in seen["waiting_ms"] if wait > bar_ms]
    return Step(
        people=people,
        turns=len(seen["waits_ms"]),
        p50_ms=percentile(waits_ms, 50) or float("inf"),
        p95_ms=percentile(waits_ms, 95) or float("inf"),
        gateway_cores=gateway_cores,
        load_cores=seen["cores"],
        other_cores=max(0.0, machine_cores - gateway_cores - workers_cores - seen["cores"]),
        lost=seen["dropped"] + seen["closed"],
        overshoot=probe.overshoot,
    )


def _machine_s() -> float:
    """Return the processor time that this machine's cores have worked, or were taken from it."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    user, nice, system, _, _, interrupts, soft, stolen, *_ = fields
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


def _measured(settings: Sequence[str]) -> Figures:
    flags = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "antiphon_workers.measuring", *flags]
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(ended.stdout, type=Figures)


def _people(settings: Config, few: Step) -> Conversation:
    """Return how the people of the load talk; a few tell how late silence is heard."""
    lengths_s = [len(frames) * FRAME_MS / 1000 for frames in recordings()]
    late_ms = max(0.0, few.p50_ms - SILENCE_MS)
    return msgspec.structs.replace(
        conversation(settings),
        speech_s=(min(lengths_s), max(lengths_s)),
        think_s=THINK_S,
        replies=(REPLY,),
        pause_ms=late_ms + settings.turn_taking.eager_silence_ms,
        release_ms=few.p50_ms,
        audio_lead_s=settings.playout.unreported_lead_ms / 1000,
    )


def crossing(steps: Sequence[Step], bar_ms: float) -> float | None:
    """Return how many people the bar lets talk, on the straight line between two steps.

    None: all steps lie on one side of it.
    """
    for below, above in itertools.pairwise(steps):
        if below.p95_ms <= bar_ms < above.p95_ms:
            share = (bar_ms - below.p95_ms) / (above.p95_ms - below.p95_ms)
            return below.people + share * (above.people - below.people)
    return None


async def _compare(port: int, settings: Config, figures: Figures, a: argparse.Namespace) -> int:
    few = await _step(port, FEW, FEW_S, a.p95_ms)
    more = await _step(port, MORE, FEW_S, a.p95_ms)
    each_cores = (more.gateway_cores - few.gateway_cores) / (MORE - FEW)
    base_cores = max(0.0, few.gateway_cores - FEW * each_cores)
    figures = msgspec.structs.replace(figures, gateway_ms=max(0.0, 1000 * each_cores))
    print(
        f"{FEW} people: {few.p50_ms:.0f} ms; the gateway: {figures.gateway_ms:.1f} ms of "
        f"processor time for each more of them and second"
    )
    base = Question(
        figures=figures,
        machines=Machines(
            workers={stage: settings.stage(stage).processes for stage in STAGES},
            cores=figures.cores,
        ),
        conversation=_people(settings, few),
        p95_ms=a.p95_ms,
    )

    def question(step: Step) -> Question:
        """Leave to the server what load, others, and the gateway whoever talks, do not use."""
        used = step.load_cores + step.other_cores + base_cores
        cores = max(_LEAST_CORES, figures.cores - used)
        return msgspec.structs.replace(
            base, machines=msgspec.structs.replace(base.machines, cores=cores)
        )

    predicted = capacity(question(more))
    print(f"predicted: {predicted} conversations at p95 < {a.p95_ms:g} ms")
    print(HEAD)
    steps: list[Step] = []
    for people in sorted({max(1, round(share * predicted)) for share in a.share or SHARES}):
        steps.append(await _step(port, people, a.seconds, a.p95_ms))
        _show(steps[-1], outcome(question(steps[-1]), people))
    measured = crossing(steps, a.p95_ms)
    if a.json:
        rows = [step._asdict() for step in steps]
        kept = {"question": msgspec.to_builtins(base), "predicted": predicted, "steps": rows}
        a.json.write_text(json.dumps(kept, indent=1))
    if measured is None:
        print("the bar was not crossed: try other --share")
        return 1
    error = predicted / measured - 1
    print(f"measured: {measured:.1f}; the prediction is {100 * error:+.0f} % off")
    return 0 if abs(error) <= TOLERANCE else 1


def _show(step: Step, planned: Outcome) -> None:
    print(
        f"{step.people:6} {step.turns:6} {step.p50_ms:6.0f} {step.p95_ms:6.0f} "
        f"{planned.p50_ms:14.0f} {planned.p95_ms:6.0f} {step.gateway_cores:9.2f} "
        f"{step.other_cores:7.2f} {step.lost:6} "
        f"{step.overshoot.p99_ms:9.1f} / {step.overshoot.max_ms:.0f} ms",
        flush=True,
    )


def main() -> int:
    """Return 0 when the prediction is within 15 %, 1 when not, 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.plan", description=__doc__)
    parser.add_argument("--p95-ms", type=float, default=1_500.0, help="the bar")
    parser.add_argument("--seconds", type=float, default=130.0, help="of each step")
    parser.add_argument("--share", type=float, action="append", help="of the people predicted")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    settings = [*SETTINGS, *arguments.settings]
    try:
        figures = _measured(settings)
        with own_server(settings) as url:
            port = urllib.parse.urlsplit(url).port
            assert port
            loaded = config.load(environment={}, settings=settings)
            return asyncio.run(_compare(port, loaded, figures, arguments))
    except AntiphonError as exc:
        print(exc, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
