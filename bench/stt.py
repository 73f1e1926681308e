"""Final transcripts over the short encoder window against Whisper's padded one.

Both engines transcribe each clip in turn, so that what else the machine does slows both alike.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from antiphon.recording import resampled
from antiphon_proto import config
from antiphon_proto.errors import AntiphonError
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ, Job, Transcribe, Transcript
from antiphon_workers.engine import Engine
from antiphon_workers.process import wait_asleep
from antiphon_workers.registry import create
from antiphon_workers.stt.guards import is_repetitive
from bench.clips import DEFAULT_CLIPS, Clip, read_clips
from bench.statistics import percentile, word_error_rate

_TAIL_MS = 128
"""Silence after the speech, as the gateway sends an utterance at its first short pause."""
_PERCENTS = (50, 95)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit code is 0, or 2 when an engine or the clips cannot be loaded."""
    parser = argparse.ArgumentParser(description=__doc__)
    config.add_arguments(parser)
    parser.add_argument("--clips", type=Path, default=DEFAULT_CLIPS, help="recordings and manifest")
    parser.add_argument("--padded", action="store_true", help="measure the padded window as well")
    options = parser.parse_args(arguments)
    windows = ["spliced", *(["padded"] if options.padded else [])]
    try:
        print(asyncio.run(_table(windows, read_clips(options.clips), options.settings)))
    except AntiphonError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    return 0


async def _table(windows: list[str], clips: list[Clip], settings: list[str]) -> str:
    # Before the model libraries are imported, which read the environment then.
    wait_asleep()
    engines = {}
    for window in windows:
        chosen = [*settings, "stt.turn_end_model=", f"stt.encoder_window={window}"]
        engines[window] = create("stt", config.load(environment={}, settings=chosen))
        engines[window].load()
    times_ms: dict[str, list[float]] = {window: [] for window in windows}
    pairs: dict[str, list[tuple[str, str]]] = {window: [] for window in windows}
    for clip in clips:
        pcm = utterance(clip)
        for window, engine in engines.items():
            begun_s = time.perf_counter()
            text = await transcribed(engine, pcm)
            times_ms[window].append((time.perf_counter() - begun_s) * 1000)
            pairs[window].append((clip.transcript, text))
    for engine in engines.values():
        engine.close()
    return as_text(times_ms, pairs)


def as_text(
    times_ms: Mapping[str, Sequence[float]], pairs: Mapping[str, Sequence[tuple[str, str]]]
) -> str:
    """Return the table of the clips' times and (reference, transcript) pairs by window."""
    clips = len(next(iter(pairs.values())))
    head = f"{'window':<10} {'p50':>9} {'p95':>9} {'errors':>8} {'loops':>5}"
    lines = [f"{clips} clips", head]
    for window, said in pairs.items():
        p50, p95 = (percentile(times_ms[window], percent) or 0.0 for percent in _PERCENTS)
        rate = 100 * (word_error_rate(said) or 0.0)
        loops = sum(is_repetitive(text) for _, text in said)
        lines.append(f"{window:<10} {p50:>6.0f} ms {p95:>6.0f} ms {rate:>6.1f} % {loops:>5}")
    if len(pairs) > 1:
        ratios = [one / other for one, other in zip(*times_ms.values(), strict=True)]
        lines.append(f"ratio, median of the clips' {percentile(ratios, 50):.2f}")
    return "\n".join(lines)


def utterance(clip: Clip) -> bytes:
    """Return the clip to shortly after the end of its speech, PCM16 at `STT_SAMPLE_RATE_HZ`."""
    recording = resampled(clip.recording, STT_SAMPLE_RATE_HZ)
    end_ms = int(recording.speech_end_ms or 0) + _TAIL_MS
    return recording.pcm[: 2 * end_ms * STT_SAMPLE_RATE_HZ // 1000]


async def transcribed(engine: Engine, pcm: bytes) -> str:
    """Return the final transcript that a loaded engine makes of an utterance."""
    job = Job(
        job_id="bench",
        session_id="bench",
        turn_id=1,
        revision=0,
        attempt=1,
        reply_to="bench",
        budget_ms=60_000,
        command=Transcribe(final=True),
    )
    steps = [step async for step in engine.run(job, pcm)]
    [text] = [s[0].text for s in steps if isinstance(s, tuple) and isinstance(s[0], Transcript)]
    return text


if __name__ == "__main__":
    sys.exit(main())
