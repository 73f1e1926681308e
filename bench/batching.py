"""Transcripts of many sessions in one pass of the model against one pass each.

Both engines are loaded once and take turns, so that what else the machine does meets both alike.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from antiphon_proto import config
from antiphon_proto.errors import AntiphonError
from antiphon_workers.engine import Engine
from antiphon_workers.process import wait_asleep
from antiphon_workers.registry import create
from bench.clips import DEFAULT_CLIPS, read_clips
from bench.statistics import percentile
from bench.stt import transcribed, utterance

ROUNDS = 3


class _Round(NamedTuple):
    passed_s: float
    used_s: float
    """Processor time, which other work on the machine leaves nearly as it is."""
    waits_ms: list[float]
    texts: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit code is 0, or 2 without an engine or the clips."""
    parser = argparse.ArgumentParser(description=__doc__)
    config.add_arguments(parser)
    parser.add_argument("--clips", type=Path, default=DEFAULT_CLIPS, help="recordings and manifest")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="transcripts of a pass")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N")
    options = parser.parse_args(arguments)
    # Before the model libraries are imported, which read the environment then.
    wait_asleep()
    try:
        utterances = [utterance(clip) for clip in read_clips(options.clips)]
        print(asyncio.run(_table(utterances, options.batch, options.rounds, options.settings)))
    except AntiphonError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    return 0


async def _table(utterances: list[bytes], batch: int, rounds: int, settings: list[str]) -> str:
    engines = {
        "one each": _engine([*settings, f"stt.slots={batch}", "stt.batch=1"]),
        f"up to {batch}": _engine([*settings, f"stt.slots={batch}", f"stt.batch={batch}"]),
    }
    made: dict[str, list[_Round]] = {name: [] for name in engines}
    for _ in range(rounds + 1):
        for name, engine in engines.items():
            made[name].append(await _round(engine, utterances, batch))
    for engine in engines.values():
        engine.close()
    lines = [f"{len(utterances)} clips, {batch} jobs at once, {rounds} rounds after a warm one"]
    lines.append(f"{'pass':<12} {'clips a second':>16} {'p50':>9} {'p95':>9} {'processor':>14}")
    rates = {}
    for name, all_rounds in made.items():
        warm = all_rounds[1:]
        waits_ms = [wait_ms for each in warm for wait_ms in each.waits_ms]
        rates[name] = len(waits_ms) / sum(each.passed_s for each in warm)
        spread = f"{percentile(waits_ms, 50):>6.0f} ms {percentile(waits_ms, 95):>6.0f} ms"
        used_ms = 1_000 * sum(each.used_s for each in warm) / len(waits_ms)
        lines.append(f"{name:<12} {rates[name]:>16.1f} {spread} {used_ms:>7.0f} ms each")
    alone, together = rates.values()
    first, second = (all_rounds[-1].texts for all_rounds in made.values())
    other = sum(one != two for one, two in zip(first, second, strict=True))
    lines.append(
        f"batching carries {together / alone:.2f} times as many; {other} other transcripts"
    )
    return "\n".join(lines)


async def _round(engine: Engine, utterances: list[bytes], at_once: int) -> _Round:
    """Transcribe every utterance, so many at a time."""
    free = asyncio.Semaphore(at_once)

    async def job(pcm: bytes) -> tuple[float, str]:
        async with free:
            begun_s = time.perf_counter()
            text = await transcribed(engine, pcm)
            return (time.perf_counter() - begun_s) * 1000, text

    begun_s, used_s = time.perf_counter(), time.process_time()
    done = await asyncio.gather(*map(job, utterances))
    passed_s = time.perf_counter() - begun_s
    used_s = time.process_time() - used_s
    return _Round(passed_s, used_s, [wait_ms for wait_ms, _ in done], [text for _, text in done])


def _engine(settings: list[str]) -> Engine:
    engine = create("stt", config.load(environment={}, settings=[*settings, "stt.turn_end_model="]))
    engine.load()
    return engine


if __name__ == "__main__":
    sys.exit(main())
