"""`make bench-turns`: whether the server waits, answers and yields as a person would.

Recordings of people are played into the server's microphone in real time: questions, pauses inside
them, interruptions, backchannels, noise, echo, long speech. See README.md for what is measured.
"""

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from antiphon.private_server import own_server
from antiphon_proto.config import Config
from antiphon_proto.errors import AntiphonError
from bench import levers
from bench.clips import DEFAULT_CLIPS
from bench.turns.material import Material, read_material
from bench.turns.plans import SCENARIOS, plan
from bench.turns.report import Outcome, as_json, as_text, of_all
from bench.turns.run import Script, run
from bench.turns.word_timer import WordTimer

MAX_TURNS = 1000
MAX_RUNS = 100
_DATA = DEFAULT_CLIPS.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 2 when nothing could be measured."""
    arguments = _parser().parse_args(argv)
    try:
        outcomes = _run_each(arguments)
    except AntiphonError as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 2
    if len(outcomes) > 1:
        _show(of_all(outcomes), arguments)
    return 0 if all(outcome.measured for outcome in outcomes) else 2


def _run_each(arguments: argparse.Namespace) -> list[Outcome]:
    """Run with each seed, each against a server of its own; show each outcome."""
    material = read_material(
        arguments.clips, arguments.backchannels, arguments.coughs, arguments.noises
    )
    outcomes = []
    for seed in range(arguments.seed, arguments.seed + arguments.runs):
        script = _script(material, seed, arguments)
        timer = WordTimer.of(arguments.voice) if "barge-in" in script.trials else None
        with _server(arguments) as url:
            outcomes.append(asyncio.run(run(url, script, arguments.limit_s, timer)))
        _show(outcomes[-1], arguments)
    return outcomes


def _script(material: Material, seed: int, arguments: argparse.Namespace) -> Script:
    names = arguments.scenarios or list(SCENARIOS)
    trials = {
        name: plan(name, material, seed, arguments.turns or SCENARIOS[name].turns)
        for name in SCENARIOS
        if name in names
    }
    return Script(seed, trials)


def _show(outcome: Outcome, arguments: argparse.Namespace) -> None:
    print(json.dumps(as_json(outcome)) if arguments.json else as_text(outcome) + "\n", flush=True)


def _server(arguments: argparse.Namespace) -> contextlib.AbstractContextManager[str]:
    if arguments.url:
        return contextlib.nullcontext(arguments.url)
    return own_server(arguments.settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.turns",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--scenario",
        dest="scenarios",
        action="append",
        choices=list(SCENARIOS),
        help="run only this one; may be repeated",
    )
    parser.add_argument("--turns", type=_up_to(MAX_TURNS), help="trials in each scenario")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another script")
    parser.add_argument(
        "--runs",
        type=_up_to(MAX_RUNS),
        default=1,
        help="so many, with this seed and those after it; then rates over all, of times the worst",
    )
    parser.add_argument("--url", help="a running server (default: start one for the measurement)")
    levers.add_arguments(parser)
    parser.add_argument("--clips", type=Path, default=DEFAULT_CLIPS, help="directory of speech")
    parser.add_argument("--backchannels", type=Path, default=_DATA / "backchannels")
    parser.add_argument("--coughs", type=Path, default=_DATA / "coughs")
    parser.add_argument("--noises", type=Path, default=_DATA / "nonspeech")
    parser.add_argument(
        "--voice", default=Config().tts.model, help="Piper voice that judges which words were heard"
    )
    parser.add_argument(
        "--limit-s", type=_up_to(86_400), default=900, help="begin no trial of a run after this"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _up_to(limit: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not 1 <= value <= limit:
            raise argparse.ArgumentTypeError(f"{value} is outside 1..{limit}")
        return value

    return parse


if __name__ == "__main__":
    sys.exit(main())
