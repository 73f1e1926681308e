"""`make bench-latency`: the wait between the end of a question and the first sound of its answer.

Recordings of people are streamed in real time over a WebSocket, one after the other in each
session. See README.md for what is measured and how to read it.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from antiphon.private_server import own_server
from antiphon.server_address import ConnectionFailed
from antiphon.spoken_turn import SpokenTurn, conversation
from antiphon_proto.errors import AntiphonError
from bench import levers
from bench.clips import DEFAULT_CLIPS, Clip, read_clips
from bench.jitter import JitterProbe
from bench.reply_gaps import JITTER_BUFFER_MS, ArrivalClock, gaps_ms
from bench.report import Outcome, as_json, as_text

SAMPLE_RATE_HZ = 16_000
MAX_TURNS = 1000
MAX_SESSIONS = 256


class Limits(NamedTuple):
    """What ends a measurement."""

    turns: int
    total_s: float
    reply_s: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 1 when a turn got no reply, 2 when nothing could be measured."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.url:
            outcomes = _measure_each(arguments.url, arguments)
        else:
            with own_server(arguments.settings) as url:
                outcomes = _measure_each(url, arguments)
    except AntiphonError as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 2
    return 1 if any(outcome.failures or not outcome.turns for outcome in outcomes) else 0


def _measure_each(url: str, arguments: argparse.Namespace) -> list[Outcome]:
    """Measure with each number of sessions, one after the other; print each outcome."""
    clips = read_clips(arguments.clips)
    limits = Limits(arguments.turns, arguments.limit_s, arguments.timeout_s)
    outcomes = []
    for sessions in arguments.sessions:
        outcome = asyncio.run(measure(url, clips, limits, sessions))
        print(json.dumps(as_json(outcome)) if arguments.json else as_text(outcome) + "\n")
        outcomes.append(outcome)
    return outcomes


async def measure(url: str, clips: Sequence[Clip], limits: Limits, sessions: int) -> Outcome:
    """Hold the turns in this many sessions at once; none begins after `limits.total_s`.

    The sessions say the clips in the same order, each beginning with another one.
    """
    outcome = Outcome(sessions)
    probe = JitterProbe()
    deadline_s = time.monotonic() + limits.total_s
    async with asyncio.TaskGroup() as group:
        probing = group.create_task(probe.run(), name="jitter")
        async with asyncio.TaskGroup() as talkers:
            for index in range(sessions):
                first = index * len(clips) // sessions
                numbers = range(first, first + limits.turns)
                chosen = deque(clips[number % len(clips)] for number in numbers)
                talkers.create_task(_talker(url, chosen, limits.reply_s, deadline_s, outcome))
        probing.cancel()
    outcome.jitter_ms = probe.overshoots_ms
    return outcome


async def _talker(
    url: str, clips: deque[Clip], reply_s: float, deadline_s: float, outcome: Outcome
) -> None:
    """Say the clips in one session, and in another one after each failure."""
    while clips:
        heard = ArrivalClock()
        try:
            async with conversation(url, sample_rate_hz=SAMPLE_RATE_HZ, playout=heard) as talk:
                while clips and time.monotonic() < deadline_s:
                    clip = clips.popleft()
                    turn = await talk.say(clip.recording, timeout_s=reply_s)
                    outcome.turns.append((clip, turn))
                    _progress(clip, turn)
            outcome.skipped += len(clips)
            return
        except ConnectionFailed as exc:
            outcome.failures.append(str(exc))
            outcome.skipped += len(clips)
            return
        except AntiphonError as exc:
            outcome.failures.append(str(exc))
        finally:
            replies = heard.arrivals.values()
            outcome.gaps_ms += [gaps_ms(reply, JITTER_BUFFER_MS) for reply in replies]


def _progress(clip: Clip, turn: SpokenTurn) -> None:
    wait = "silent" if turn.mouth_to_ear_ms is None else f"{turn.mouth_to_ear_ms:.0f} ms"
    print(f"  {wait:>8}  {clip.recording.name}: {turn.transcript}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.latency",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", help="a running server (default: start one for the measurement)")
    levers.add_arguments(parser)
    parser.add_argument("--clips", type=Path, default=DEFAULT_CLIPS, help="directory of clips")
    parser.add_argument("--turns", type=_up_to(MAX_TURNS), default=13, help="in each session")
    parser.add_argument(
        "--sessions",
        type=_up_to(MAX_SESSIONS),
        nargs="+",
        default=[1, 2, 4],
        help="at once; several numbers are measured one after the other (default: 1 2 4)",
    )
    parser.add_argument(
        "--limit-s",
        type=_up_to(86_400),
        default=600,
        help="begin no turn this long after the first one of a measurement",
    )
    parser.add_argument("--timeout-s", type=_up_to(3_600), default=60, help="longest wait a reply")
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
