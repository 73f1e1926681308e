"""Whether a card hears the words that a processor does: a trained model on both, clip by clip."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from antiphon_proto import config
from antiphon_workers.engine import Engine
from antiphon_workers.registry import create
from bench.clips import Clip
from bench.statistics import normalised, percentile, word_error_rate
from bench.stt import transcribed, utterance

HEAD = f"{'engine':<26} {'p50 / p95':>16} {'errors':>8}   clips with other words than"


class Heard(NamedTuple):
    """What one engine made of the clips, when it had heard them all once before."""

    name: str
    texts: list[str]
    p50_ms: float
    p95_ms: float
    error_rate: float

    def row(self, others: Sequence["Heard"]) -> str:
        """Return its line under `HEAD`, compared with those before."""
        times = f"{self.p50_ms:.0f} / {self.p95_ms:.0f} ms"
        differences = ", ".join(
            f"{other.name}: {_different(self.texts, other.texts)}" for other in others
        )
        return f"{self.name:<26} {times:>16} {100 * self.error_rate:>6.1f} %   {differences}"


def engines(device: str, compute_types: Sequence[str]) -> dict[str, list[str]]:
    """Return the settings of the engines that are compared, by name: the processor's first."""
    chosen = {"cpu, float32": ["stt.compute_type=float32"], "cpu, int8": []}
    for compute_type in compute_types:
        for window in ("spliced", "padded"):
            chosen[f"{device}, {compute_type}, {window}"] = [
                f"stt.device={device}",
                f"stt.compute_type={compute_type}",
                f"stt.encoder_window={window}",
            ]
    return chosen


async def heard(
    name: str, chosen: Sequence[str], clips: Sequence[Clip], settings: Sequence[str]
) -> Heard:
    """Have an engine transcribe every clip. Raises StartupError when it cannot be loaded."""
    engine = _loaded([*settings, *chosen])
    utterances = [utterance(clip) for clip in clips]
    times_ms: list[float] = []
    texts: list[str] = []
    try:
        for pcm in utterances:
            await transcribed(engine, pcm)
        for pcm in utterances:
            begun_s = time.perf_counter()
            texts.append(await transcribed(engine, pcm))
            times_ms.append((time.perf_counter() - begun_s) * 1000)
    finally:
        engine.close()
    rate = word_error_rate((clip.transcript, text) for clip, text in zip(clips, texts, strict=True))
    p50_ms, p95_ms = (percentile(times_ms, percent) or 0.0 for percent in (50, 95))
    return Heard(name, texts, p50_ms, p95_ms, rate or 0.0)


def _loaded(settings: Sequence[str]) -> Engine:
    engine = create("stt", config.load(environment={}, settings=[*settings, "stt.turn_end_model="]))
    engine.load()
    return engine


def _different(texts: Sequence[str], others: Sequence[str]) -> int:
    return sum(
        normalised(one) != normalised(other) for one, other in zip(texts, others, strict=True)
    )
