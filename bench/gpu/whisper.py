"""Whisper by size, number format and batch: how long a transcript takes, how many talk at once."""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from antiphon_proto import config, models
from antiphon_proto.errors import StartupError
from bench.clips import Clip
from bench.gpu import device
from bench.gpu.client import Client
from bench.gpu.conversations import Limits, carried, listen
from bench.gpu.whisper_checkpoints import SENTENCE, make, size_named
from bench.statistics import percentile
from bench.stt import utterance
from bench.worker_pool import LOADING_S, pool

HEAD = (
    f"{'model':<16} {'numbers':<13} {'batch':>5} {'workers':>7} {'alone p50 / p95':>18} "
    f"{'a batch':>9} {'talk at once':>12} {'p95 then':>9} {'memory':>9}"
)
TOKENS_FROM = "tiny.en"
_BURSTS = 5


class Variant(NamedTuple):
    """What is measured."""

    model: str
    """A size, spoken with random weights, or `trained`: the model of `stt.model`."""
    compute_type: str
    batch: int
    workers: int


class Found(NamedTuple):
    """What a variant brought."""

    variant: Variant
    alone_p50_ms: float
    alone_p95_ms: float
    burst_ms: float | None
    """Until the last of a batch that was asked for at once was there; None for batches of one."""
    conversations: int
    """The most of which 95 % of the final transcripts come in time."""
    p95_ms: float | None
    """With so many; None where not one holds."""
    memory_mib: int | None
    """Of the card, taken by all workers; None on a processor."""

    def row(self) -> str:
        """Return its line under `HEAD`."""
        model, compute_type, batch, workers = self.variant
        alone = f"{self.alone_p50_ms:.0f} / {self.alone_p95_ms:.0f} ms"
        burst = f"{self.burst_ms:.0f} ms" if self.burst_ms is not None else ""
        p95 = f"{self.p95_ms:.0f} ms" if self.p95_ms is not None else ""
        memory = f"{self.memory_mib} MiB" if self.memory_mib is not None else ""
        return (
            f"{model:<16} {compute_type:<13} {batch:>5} {workers:>7} {alone:>18} {burst:>9} "
            f"{self.conversations:>12} {p95:>9} {memory:>9}"
        )


def directories(names: Sequence[str], settings: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each name and the model's path, made for as long as it is used."""
    chosen = config.load(environment={}, settings=[*settings])
    for name in names:
        if name == "trained":
            yield name, chosen.stt.model
            continue
        size = size_named(name)
        tokens = models.find(TOKENS_FROM, chosen.models.directory)
        with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as directory:
            yield name, str(make(Path(directory) / name, size, tokens))


async def measure(
    variant: Variant,
    path: str,
    clips: Sequence[Clip],
    device_name: str,
    settings: Sequence[str],
    limits: Limits,
) -> Found:
    """Measure one variant. Raises StartupError when its workers do not come up, or say else."""
    before_mib = device.used_mib(device_name)
    chosen = [
        "stt.engine=faster-whisper",
        f"stt.model={path}",
        f"stt.device={device_name}",
        f"stt.compute_type={variant.compute_type}",
        f"stt.batch={variant.batch}",
        f"stt.slots={variant.batch}",
        "stt.turn_end_model=",
        *settings,
    ]
    said = [utterance(clip) for clip in clips]
    async with pool("stt", variant.workers, chosen, start_s=LOADING_S) as dispatcher:
        client = Client(dispatcher)
        # Each worker has its turn, and buffers their size.
        heard = [await client.transcript(pcm) for pcm in said * (variant.workers + 1)]
        _check(variant, [text for text, _ in heard])
        alone_ms = [(await client.transcript(pcm))[1] for pcm in said]
        burst_ms = await _burst_ms(client, said, variant.batch) if variant.batch > 1 else None

        async def turn(number: int, due_s: float) -> tuple[float, float]:
            return await listen(client, said[number % len(said)], number, due_s)

        conversations, p95_ms = await carried(turn, limits)
        after_mib = device.used_mib(device_name)
    return Found(
        variant=variant,
        alone_p50_ms=percentile(alone_ms, 50) or 0.0,
        alone_p95_ms=percentile(alone_ms, 95) or 0.0,
        burst_ms=burst_ms,
        conversations=conversations,
        p95_ms=p95_ms,
        memory_mib=None if after_mib is None else after_mib - (before_mib or 0),
    )


def _check(variant: Variant, texts: Sequence[str]) -> None:
    """Refuse random weights that did not say their sentence: then it is another's cost."""
    other = next((text for text in texts if text != SENTENCE), None)
    if variant.model != "trained" and other is not None:
        raise StartupError(
            f"{variant.model} in {variant.compute_type} said {other!r} and not its sentence, "
            "so its times would be no transcript's"
        )


async def _burst_ms(client: Client, said: Sequence[bytes], batch: int) -> float:
    """Return the median time that as many transcripts take as a batch has, asked for at once."""
    times_ms = []
    for _ in range(_BURSTS):
        begun_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for place in range(batch):
                pcm = said[place % len(said)]
                group.create_task(client.transcript(pcm, session=place), name=f"burst-{place}")
        times_ms.append((time.perf_counter() - begun_s) * 1000)
    return percentile(times_ms, 50) or 0.0
