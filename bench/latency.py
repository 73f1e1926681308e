"""`make bench-latency`: the wait between the end of a question and the first sound of its answer.

Recordings of people are streamed in real time over a WebSocket, one after the other in each
session. See README.md for what is measured and how to read it.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from antiphon.server_address import ConnectionFailed
from antiphon.spoken_turn import SpokenTurn, conversation
from antiphon_proto.errors import AntiphonError
from bench.clips import DEFAULT_CLIPS, Clip, read_clips
from bench.jitter import JitterProbe
from bench.report import Outcome, as_json, as_text
from bench.server import own_server

SAMPLE_RATE_HZ = 16_000
MAX_TURNS = 1000
MAX_SESSIONS = 256
EXIT_TERMINATED = 143


class Limits(NamedTuple):
    """What ends a measurement."""

    turns: int
    total_s: float
    reply_s: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 1 when a turn got no reply, 2 when nothing could be measured."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    try:
        clips = read_clips(arguments.clips)
        limits = Limits(arguments.turns, arguments.limit_s, arguments.timeout_s)
        if arguments.url:
            outcome = asyncio.run(measure(arguments.url, clips, limits, arguments.sessions))
        else:
            with own_server(arguments.settings) as url:
                outcome = asyncio.run(measure(url, clips, limits, arguments.sessions))
    except AntiphonError as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 2
    print(json.dumps(as_json(outcome)) if arguments.json else as_text(outcome))
    return 1 if outcome.failures or not outcome.turns else 0


async def measure(url: str, clips: Sequence[Clip], limits: Limits, sessions: int) -> Outcome:
    """Hold the turns in this many sessions at once; none begins after `limits.total_s`."""
    outcome = Outcome(sessions)
    probe = JitterProbe()
    deadline_s = time.monotonic() + limits.total_s
    async with asyncio.TaskGroup() as group:
        probing = group.create_task(probe.run(), name="jitter")
        async with asyncio.TaskGroup() as talkers:
            for index in range(sessions):
                numbers = range(index, limits.turns, sessions)
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
        try:
            async with conversation(url, sample_rate_hz=SAMPLE_RATE_HZ) as talk:
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
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="setting of the started server, for example stt.threads=1; may be repeated",
    )
    parser.add_argument("--clips", type=Path, default=DEFAULT_CLIPS, help="directory of clips")
    parser.add_argument("--turns", type=_up_to(MAX_TURNS), default=12, help="in all sessions")
    parser.add_argument("--sessions", type=_up_to(MAX_SESSIONS), default=1, help="at once")
    parser.add_argument(
        "--limit-s", type=_up_to(86_400), default=600, help="begin no turn after this long"
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
