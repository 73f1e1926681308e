"""`make bench-endpointing`: how often rules of endpointing cut people off, and how long they wait.

Recordings, as they are and with a pause put between two words, are judged offline by each rule.
The models are asked once; what they said is kept in a file. See README.md.
"""

import argparse
import dataclasses
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from antiphon_gateway.turn_end import Eagerness
from antiphon_gateway.vad import SileroModel
from antiphon_proto import config as settings
from antiphon_proto import models
from antiphon_proto.errors import AntiphonError
from bench import endpoint_rules as rules
from bench.clips import DEFAULT_CLIPS
from bench.endpoint_fit import fit
from bench.endpoint_rules import Example, Judged, Outcome, Rule, judge
from bench.pause_evidence import EvidenceSource
from bench.statistics import percentile, wilson_interval
from bench.turn_recordings import Turn, read_sources, turns_of

ORDERS = ("picovoice-barista", "voice2json", "unmute", "commonvoice")
"""Groups of the manifest whose clips are questions, orders and commands."""
FOLDS = 8
"""Parts of the speakers; each is judged with weights fitted to the others."""
OPERATING_POINTS: tuple[tuple[Eagerness, float], ...] = (
    ("low", 0.0),
    ("auto", -0.4),
    ("auto", 0.0),
    ("auto", 0.4),
    ("high", -0.2),
    ("high", 0.0),
    ("high", 0.2),
)
"""Of the product's rule; its own are those that add nothing to the score."""
UNREAD: tuple[Eagerness, ...] = ("auto", "high")
"""Judged without the language model's word too, as with engines that do not tell it."""
ASKED_AGAIN = (
    ("newest of 64, 384, 640", (384, 640), rules.newest),
    ("mean of 64, 384, 640", (384, 640), rules.mean),
    ("least of 64, 384, 640", (384, 640), min),
    ("mean of 64, 640", (640,), rules.mean),
)
"""What the sound adds when it is asked for again while the doubt lasts."""


@dataclasses.dataclass(frozen=True)
class Figures:
    """What a rule did with some turns."""

    outcomes: Sequence[Outcome]

    def line(self) -> str:
        """Return cut-ins with their interval, those that last, and the wait."""
        count = len(self.outcomes)
        cut = sum(one.cut_in for one in self.outcomes)
        full = sum(one.cut_in and not one.retractable for one in self.outcomes)
        waits = [float(one.wait_ms) for one in self.outcomes]
        low, high = wilson_interval(cut, count)
        if not count:
            return f"{'-':>40}"
        return (
            f"{100 * cut / count:5.1f} % ({100 * low:4.1f}-{100 * high:4.1f}), "
            f"{100 * full / count:4.1f} % full; {percentile(waits, 50):5.0f} "
            f"{percentile(waits, 90):5.0f} {sum(waits) / count:5.0f}"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 2 when nothing could be measured."""
    arguments = _parser().parse_args(argv)
    try:
        examples = _examples(arguments)
    except AntiphonError as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 2
    if arguments.fit:
        for name, weight in fit(examples).items():
            print(f'    "{name}": {weight:.2f},')
    print(_report(examples))
    return 0


def _examples(arguments: argparse.Namespace) -> list[Example]:
    config = settings.from_arguments(arguments)
    silero = models.find("silero-vad", config.models.directory)
    model = SileroModel(silero)
    evidence = EvidenceSource(config, arguments.keep)
    found = []
    try:
        for source in read_sources(arguments.clips):
            inserted = arguments.pauses if source.group in ORDERS else arguments.pauses // 2
            found += _judged(turns_of(source, model, inserted=inserted), evidence)
    finally:
        evidence.close()
    return found


def _judged(turns: Sequence[Turn], evidence: EvidenceSource) -> list[Example]:
    """Return the turns of one recording: the first as it was said, the others with a pause.

    Of the others only the pause put in is judged anew: the rest is that of the first.
    """
    said = tuple(Judged(one, evidence.of(turns[0], one)) for one in turns[0].pauses)
    if not said:
        return []
    found = [Example(turns[0], said)]
    for turn in turns[1:]:
        paused = tuple(
            Judged(one, evidence.of(turn, one))
            for one in turn.pauses
            if one.inserted and not one.is_end
        )
        if paused:
            found.append(Example(turn, (*paused, said[-1])))
    return found


def _report(examples: Sequence[Example]) -> str:
    paused = [one for one in examples if one.turn.inserted_ms]
    natural = [one for one in examples if not one.turn.inserted_ms]
    orders = [one for one in paused if one.turn.source.group in ORDERS]
    sets = {
        "orders, a pause of 300-900 ms": orders,
        "orders as said": [one for one in natural if one.turn.source.group in ORDERS],
        "all speech, its own pauses": natural,
        "all speech, a pause of 300-900 ms": paused,
    }
    weights = [fit([one for one in examples if fold_of(one) != fold]) for fold in range(FOLDS)]
    lines = ["cut-ins (95 % interval), those that last; wait at the end p50, p90, mean, ms"]
    for name, chosen in sets.items():
        lines += ["", f"{name}: n = {len(chosen)}"]
        for label, rule in _rules():
            lines.append(f"  {label:<34} {Figures([judge(rule, one) for one in chosen]).line()}")
        for eagerness, bias in OPERATING_POINTS:
            crossed = [rules.policy(eagerness, bias=bias, weights=one) for one in weights]
            outcomes = [judge(crossed[fold_of(one)], one) for one in chosen]
            label = f"evidence, {eagerness} {bias:+.1f}"
            lines.append(f"  {label:<34} {Figures(outcomes).line()}")
        for label, at_ms, combine in ASKED_AGAIN:
            crossed = [
                rules.asked_again(rules.policy(weights=one), at_ms, combine) for one in weights
            ]
            outcomes = [judge(crossed[fold_of(one)], one) for one in chosen]
            lines.append(f"  {f'evidence, auto, {label}':<34} {Figures(outcomes).line()}")
        for eagerness in UNREAD:
            crossed = [rules.policy(eagerness, weights=one) for one in weights]
            outcomes = [judge(crossed[fold_of(one)], rules.unread(one)) for one in chosen]
            label = f"evidence, {eagerness}, no language model"
            lines.append(f"  {label:<34} {Figures(outcomes).line()}")
    return "\n".join(lines)


def fold_of(example: Example) -> int:
    """Return the part of the speakers that a turn's belongs to."""
    return hashlib.sha256(example.turn.source.speaker.encode()).digest()[0] % FOLDS


def _rules() -> list[tuple[str, Rule]]:
    fixed: list[tuple[str, Rule]] = [
        (f"silence {ms} ms", rules.silence(ms)) for ms in (300, 400, 500, 800, 1_000)
    ]
    return [
        *fixed,
        ("words read complete 480 ms, else 2 s", rules.complete_words(480)),
        ("Smart Turn > 0.5, else 1 s", rules.sound(0.5, 1_000)),
        ("Smart Turn > 0.9, else 1 s", rules.sound(0.9, 1_000)),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.endpointing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--clips", type=Path, default=DEFAULT_CLIPS, help="directory of clips")
    parser.add_argument(
        "--pauses", type=int, default=5, help="turns with a pause, for each question or order"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        default=Path.home() / ".cache" / "antiphon" / "bench" / "endpointing.json",
        help="file that keeps the models' answers",
    )
    parser.add_argument("--fit", action="store_true", help="print weights fitted to all clips")
    settings.add_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
