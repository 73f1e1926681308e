"""`python -m bench.plan`: does a server hold as many conversations as `antiphon plan` says?

Simulated engines, which take as long as told, and a gateway are measured as `antiphon plan` does; a
few people tell how late the server hears that a turn is over. Then more and more people talk with
the server until the bar is missed, and again in the opposite order. See README.md.
"""

import argparse
import asyncio
import itertools
import json
import sys
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from antiphon.plan import conversation
from antiphon.plan_figures import measured
from antiphon.private_server import own_server
from antiphon_gateway.planning.capacity import capacity, outcome, plan
from antiphon_proto import config
from antiphon_proto.config import Config
from antiphon_proto.errors import AntiphonError
from antiphon_proto.messages import STAGES
from antiphon_proto.planning import Conversation, Figures, Machines, Outcome, Question
from bench.plan_load import recordings
from bench.plan_step import THINK_S, Step, step
from bench.sessions.line import FRAME_MS
from bench.sessions.load import SILENCE_MS

REPLY = "The old mill stands at the end of the village. Nobody has lived there for thirty years."
SETTINGS = (
    "stt.engine=simulated",
    "llm.engine=simulated",
    "tts.engine=simulated",
    "stt.slots=4",
    "llm.slots=8",
    "tts.slots=1",
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
SHARES = (0.85, 1.0, 1.15)
"""Of the people predicted; those that are tried."""
ROUNDS = 2
TOLERANCE = 0.15
HEAD = (
    "people  turns    p50    p95  planned p50    p95   gateway  others   lost  timer p99 / max     "
    "busy (planned)"
)
_LEAST_CORES = 0.1
FEW = 3
"""People who tell how late silence is heard, and what the load and others take."""
FEW_S = 30.0


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


def crossing(points: Sequence[tuple[float, float]], bar_ms: float) -> float | None:
    """Return how many people the bar lets talk, on the straight line between two (people, ms).

    None: all lie on one side of it.
    """
    for (people, wait_ms), (more, longer_ms) in itertools.pairwise(points):
        if wait_ms <= bar_ms < longer_ms:
            return people + (bar_ms - wait_ms) / (longer_ms - wait_ms) * (more - people)
    return None


def _together(steps: Sequence[Step]) -> Step:
    """Return steps of as many people as one."""
    count = len(steps)
    return steps[0]._replace(
        waits_ms=[wait for each in steps for wait in each.waits_ms],
        busy={part: sum(each.busy[part] for each in steps) / count for part in steps[0].busy},
        load_cores=sum(each.load_cores for each in steps) / count,
        other_cores=sum(each.other_cores for each in steps) / count,
    )


def _points(steps: Sequence[Step]) -> list[tuple[float, float]]:
    return [(each.people, each.p95_ms) for each in sorted(steps, key=lambda one: one.people)]


async def _compare(port: int, settings: Config, figures: Figures, a: argparse.Namespace) -> int:
    few = await step(port, FEW, FEW_S, a.p95_ms, seed=1)
    print(
        f"{FEW} people: {few.p50_ms:.0f} ms; the gateway: {figures.gateway_ms:g} ms of processor "
        f"time for each session and second, measured by antiphon plan"
    )
    base = Question(
        figures=figures,
        machines=Machines(
            workers={stage: settings.stage(stage).processes for stage in STAGES},
            cores=figures.cores,
        ),
        conversation=_people(settings, few),
        p95_ms=a.p95_ms,
        most_gaps=1.0,  # the load listens for the first audio alone
    )

    def question(load_cores: float, other_cores: float) -> Question:
        """Leave to the server what the load and others do not use."""
        cores = max(_LEAST_CORES, figures.cores - load_cores - other_cores)
        machines = msgspec.structs.replace(base.machines, cores=cores)
        return msgspec.structs.replace(base, machines=machines)

    of_load = few.load_cores / FEW
    first = capacity(question(0.0, few.other_cores))
    planned = plan(question(of_load * first, few.other_cores), lambda _: None)
    predicted = planned.capacity
    print(
        f"predicted: {predicted} conversations at p95 < {a.p95_ms:g} ms; the limit: "
        f"{planned.limit or 'none'}, of which twice as much would hold "
        f"{max(planned.doubled.values())}"
    )
    print(HEAD)
    people = sorted({max(1, round(share * predicted)) for share in a.share or SHARES})
    rounds: list[list[Step]] = []
    for number in range(a.rounds):
        rounds.append([])
        for count in reversed(people) if number % 2 else people:
            found = await step(port, count, a.seconds, a.p95_ms, seed=2 + number)
            rounds[-1].append(found)
            _show(found, outcome(question(found.load_cores, found.other_cores), count))
    together = [
        _together([one for each in rounds for one in each if one.people == count])
        for count in people
    ]
    if a.json:
        kept = {
            "question": msgspec.to_builtins(base),
            "predicted": predicted,
            "rounds": [[one._asdict() for one in each] for each in rounds],
        }
        a.json.write_text(json.dumps(kept, indent=1))
    return _verdict(predicted, rounds, together, a.p95_ms)


def _verdict(
    predicted: int, rounds: Sequence[Sequence[Step]], together: Sequence[Step], bar_ms: float
) -> int:
    """Say how far the prediction is off; return the exit code."""
    for number, steps in enumerate(rounds):
        knee = crossing(_points(steps), bar_ms)
        print(f"round {number + 1}: {f'{knee:.1f}' if knee else 'the bar was not crossed'}")
    knee = crossing(_points(together), bar_ms)
    if knee is None:
        held = together[-1].p95_ms <= bar_ms
        end = together[-1] if held else together[0]
        print(
            f"all rounds: {'more' if held else 'fewer'} than {end.people} are held, where "
            f"{predicted} were predicted: {'+' if not held else '-'}"
            f"{100 * abs(predicted / end.people - 1):.0f} % off or more"
        )
        return 1
    error = predicted / knee - 1
    busiest = max(
        (step for step in together if step.people >= knee), key=lambda step: -step.people
    ).busy
    used = ", ".join(f"{part} {100 * share:.0f} %" for part, share in busiest.items())
    print(f"measured: {knee:.1f}; the prediction is {100 * error:+.0f} % off; busy there: {used}")
    return 0 if abs(error) <= TOLERANCE else 1


def _time(wait_ms: float | None) -> str:
    return "never" if wait_ms is None else f"{wait_ms:.0f}"


def _show(found: Step, planned: Outcome) -> None:
    busy = ", ".join(
        f"{part} {share:.2f} ({planned.busy[part]:.2f})" for part, share in found.busy.items()
    )
    print(
        f"{found.people:6} {len(found.waits_ms):6} {found.p50_ms:6.0f} {found.p95_ms:6.0f} "
        f"{_time(planned.p50_ms):>12} {_time(planned.p95_ms):>6} {found.gateway_cores:9.2f} "
        f"{found.other_cores:7.2f} {found.lost:6} "
        f"{found.overshoot.p99_ms:9.1f} / {found.overshoot.max_ms:.0f} ms   {busy}",
        flush=True,
    )


def main() -> int:
    """Return 0 when the prediction is within 15 %, 1 when not, 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.plan", description=__doc__)
    parser.add_argument("--p95-ms", type=float, default=1_500.0, help="the bar")
    parser.add_argument("--seconds", type=float, default=55.0, help="of each step")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="through all steps, by turns")
    parser.add_argument("--share", type=float, action="append", help="of the people predicted")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    settings = [*SETTINGS, *arguments.settings]
    loaded = config.load(environment={}, settings=settings)
    try:
        flags = [part for setting in settings for part in ("--set", setting)]
        figures = measured(loaded, flags)
        with own_server(settings) as url:
            port = urllib.parse.urlsplit(url).port
            assert port
            return asyncio.run(_compare(port, loaded, figures, arguments))
    except AntiphonError as exc:
        print(exc, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
