"""`python -m bench.plan`: does a server hold as many conversations as `antiphon plan` says?

Simulated engines, which take as long as told, are measured as `antiphon plan` measures; one person
alone tells how late the server hears that a turn is over. Then more and more people talk with the
server until the bar is missed. See README.md.
"""

import argparse
import asyncio
import itertools
import json
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
from antiphon_proto.planning import Conversation, Figures, Machines, Question
from bench.jitter_process import Overshoot, probing
from bench.plan_load import recordings
from bench.server import own_server
from bench.sessions.__main__ import cpu_s, pids
from bench.sessions.line import FRAME_MS
from bench.sessions.load import SILENCE_MS
from bench.statistics import percentile

REPLY = (
    "The old mill stands at the end of the village. Nobody has lived there for thirty years, "
    "and its wheel has not turned since then. In summer the children swim in the pond behind it."
)
SETTINGS = (
    "stt.engine=simulated",
    "llm.engine=simulated",
    "tts.engine=simulated",
    "stt.slots=4",
    "llm.slots=8",
    "tts.processes=3",
    "simulated.stt_ms=60",
    "simulated.llm_first_token_ms=80",
    "simulated.llm_token_ms=10",
    "simulated.tts_first_audio_ms=60",
    "simulated.tts_real_time_factor=0.2",
    f"simulated.reply={REPLY}",
    "gateway.admission_queue_wait_ms=0",
    "gateway.max_sessions=1024",
)
THINK_S = (1.5, 5.5)
"""From the end of a reply as it is sent, so that nobody speaks over what is still heard."""
SHARES = (0.7, 0.85, 1.0, 1.15, 1.3)
"""Of the people predicted; those that are tried."""
WARM_S = 20.0
TOLERANCE = 0.15
GATEWAY_PEOPLE = 10


class Step(NamedTuple):
    """So many people at the real server."""

    people: int
    turns: int
    p50_ms: float
    p95_ms: float
    gateway_cores: float
    load_cores: float
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
    gateway = [pids(port)[0]]
    used_s = cpu_s(gateway)
    async with probing() as probe:
        await load.stderr.readline()
        gateway_cores = (cpu_s(gateway) - used_s) / seconds
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
        lost=seen["dropped"] + seen["closed"],
        overshoot=probe.overshoot,
    )


def _measured(settings: Sequence[str]) -> Figures:
    flags = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "antiphon_workers.measuring", *flags]
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(ended.stdout, type=Figures)


def _people(settings: Config, alone: Step) -> Conversation:
    """Return how the people of the load talk; one alone tells how late silence is heard."""
    lengths_s = [len(frames) * FRAME_MS / 1000 for frames in recordings()]
    late_ms = alone.p50_ms - SILENCE_MS
    return msgspec.structs.replace(
        conversation(settings),
        speech_s=(min(lengths_s), max(lengths_s)),
        think_s=THINK_S,
        replies=(REPLY,),
        pause_ms=late_ms + settings.turn_taking.eager_silence_ms,
        release_ms=alone.p50_ms,
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
    alone = await _step(port, 1, 60.0, a.p95_ms)
    few = await _step(port, GATEWAY_PEOPLE, 30.0, a.p95_ms)
    figures = msgspec.structs.replace(figures, gateway_ms=1000 * few.gateway_cores / GATEWAY_PEOPLE)
    print(
        f"one person alone: {alone.p50_ms:.0f} ms; the gateway: {figures.gateway_ms:.1f} ms of "
        f"processor time for each session and second"
    )
    workers = {stage: settings.stage(stage).processes for stage in STAGES}
    cores = figures.cores - few.load_cores
    question = Question(
        figures=figures,
        machines=Machines(workers=workers, cores=cores),
        conversation=_people(settings, alone),
        p95_ms=a.p95_ms,
    )
    predicted = capacity(question)
    print(f"predicted: {predicted} conversations at p95 < {a.p95_ms:g} ms")
    print("people   turns    p50     p95   predicted p50     p95   lost   timer p99 / max")
    steps: list[Step] = []
    for people in sorted({max(1, round(share * predicted)) for share in a.share or SHARES}):
        steps.append(await _step(port, people, a.seconds, a.p95_ms))
        _show(steps[-1], question)
    measured = crossing(steps, a.p95_ms)
    if a.json:
        rows = [step._asdict() for step in steps]
        a.json.write_text(json.dumps({"predicted": predicted, "measured": measured, "steps": rows}))
    if measured is None:
        print("the bar was not crossed: try other --share")
        return 1
    error = predicted / measured - 1
    print(f"measured: {measured:.1f}; the prediction is {100 * error:+.0f} % of it")
    return 0 if abs(error) <= TOLERANCE else 1


def _show(step: Step, question: Question) -> None:
    planned = outcome(question, step.people)
    print(
        f"{step.people:6} {step.turns:7} {step.p50_ms:6.0f} {step.p95_ms:7.0f} "
        f"{planned.p50_ms:15.0f} {planned.p95_ms:7.0f} {step.lost:6} "
        f"{step.overshoot.p99_ms:9.1f} / {step.overshoot.max_ms:.0f} ms",
        flush=True,
    )


def main() -> int:
    """Return 0 when the prediction is within 15 %, 1 when not, 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.plan", description=__doc__)
    parser.add_argument("--p95-ms", type=float, default=1_000.0, help="the bar")
    parser.add_argument("--seconds", type=float, default=150.0, help="of each step")
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
