"""How soon a voice is heard: the time to its first audio, by the length of the sentence.

Sentences of all lengths are spoken in turn, so that what else the machine does slows all alike.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from antiphon_proto import config
from antiphon_proto.errors import AntiphonError
from antiphon_proto.messages import AudioDelta, Job, Synthesize
from antiphon_workers.engine import Engine
from antiphon_workers.process import wait_asleep
from antiphon_workers.registry import create
from bench.jitter_process import Overshoot, probing
from bench.statistics import percentile

SENTENCES = (
    "Hello",
    "The last train leaves at eleven.",
    "You can change trains at the second station and then walk across the old stone bridge.",
    "When the rain had stopped at last they took the early bus down to the harbour, bought two "
    "loaves of bread and some cheese, and walked along the wall until the lights of the town "
    "came on behind them.",
)
ROUNDS = 20


class Spoken(NamedTuple):
    """One sentence, spoken once."""

    first_ms: float
    """To the first audio."""
    whole_ms: float
    """To the end."""
    speech_ms: float
    """How long it is heard."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit code is 0, or 2 when the voice cannot be loaded."""
    parser = argparse.ArgumentParser(description=__doc__)
    config.add_arguments(parser)
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N")
    options = parser.parse_args(arguments)
    # Before the model libraries are imported, which read the environment then.
    wait_asleep()
    try:
        voice = create("tts", config.from_arguments(options))
        voice.load()
    except AntiphonError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    print(asyncio.run(measure(voice, options.rounds)))
    voice.close()
    return 0


async def measure(voice: Engine, rounds: int) -> str:
    """Return the table of so many rounds after a warm one."""
    spoken: dict[str, list[Spoken]] = {text: [] for text in SENTENCES}
    async with probing() as probe:
        for _ in range(rounds + 1):
            for text, times in spoken.items():
                times.append(await _spoken(voice, text))
    return as_text({text: times[1:] for text, times in spoken.items()}, probe.overshoot)


def as_text(spoken: Mapping[str, Sequence[Spoken]], overshoot: Overshoot) -> str:
    """Return a line for each sentence, and how late the machine woke a process meanwhile."""
    head = f"{'characters':>10} {'first audio p50':>16} {'p95':>9} {'whole, p50':>11} {'speech':>9}"
    lines = [f"{len(next(iter(spoken.values())))} rounds", head]
    for text, times in spoken.items():
        first_ms, whole_ms = [one.first_ms for one in times], [one.whole_ms for one in times]
        first, first_p95 = (percentile(first_ms, percent) or 0.0 for percent in (50, 95))
        whole = percentile(whole_ms, 50) or 0.0
        lines.append(
            f"{len(text):>10} {first:>13.0f} ms {first_p95:>6.0f} ms {whole:>8.0f} ms "
            f"{times[0].speech_ms:>6.0f} ms"
        )
    p99_ms, max_ms = overshoot
    return "\n".join([*lines, f"timer overshoot: p99 {p99_ms:.1f} ms, p100 {max_ms:.1f} ms"])


async def _spoken(voice: Engine, text: str) -> Spoken:
    job = Job(
        job_id="bench",
        session_id="bench",
        turn_id=1,
        revision=0,
        attempt=1,
        reply_to="bench",
        budget_ms=60_000,
        command=Synthesize(text=text, voice="", speed=1.0),
    )
    first_ms, speech_ms, begun_s = 0.0, 0.0, time.perf_counter()
    async for step in voice.run(job, b""):
        if isinstance(step, tuple) and isinstance(step[0], AudioDelta):
            first_ms = first_ms or (time.perf_counter() - begun_s) * 1000
            speech_ms += len(step[1]) / 2 / step[0].sample_rate_hz * 1000
    return Spoken(first_ms, (time.perf_counter() - begun_s) * 1000, speech_ms)


if __name__ == "__main__":
    sys.exit(main())
