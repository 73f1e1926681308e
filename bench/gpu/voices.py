"""Coqui's voices: how soon the first audio comes, and how many replies are spoken at once."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from antiphon_proto import config
from antiphon_proto.errors import ConfigurationError
from antiphon_proto.messages import Synthesize
from antiphon_workers.admission import MAX_SPEED, MIN_SPEED
from bench.gpu import device
from bench.gpu.client import Client, Spoken
from bench.gpu.conversations import Limits, carried
from bench.statistics import percentile
from bench.worker_pool import LOADING_S, pool

HEAD = (
    f"{'model':<10} {'workers':>7} {'first audio p50 / p95':>21} {'of real time':>12} "
    f"{'talk at once':>12} {'p95 then':>9} {'memory':>9}"
)
TEXTS = (
    "The last train leaves at ten past eleven from platform four.",
    "You can change at the second station and walk across the bridge.",
    "It will be cold tonight, so take a coat and something warm to drink.",
    "Your brother called this morning and asked about the tickets.",
)
TRAINED = "trained"
REPLY_MS = 4_000.0
"""How much speech one of `TEXTS` is; a person takes about as long. Random weights do not know."""
_ROUNDS = 3
_LONGEST_ALONE_S = 60.0


class Found(NamedTuple):
    """What a voice brought."""

    model: str
    workers: int
    first_p50_ms: float
    first_p95_ms: float
    real_time_factor: float
    """Time to make speech, by its length, of one reply alone; the median."""
    conversations: int
    """The most of which 95 % begin in time and go on without a gap."""
    p95_ms: float | None
    """To the first audio, with so many; None where not one holds."""
    memory_mib: int | None
    """Of the card, taken by all workers; None on a processor."""

    def row(self) -> str:
        """Return its line under `HEAD`."""
        first = f"{self.first_p50_ms:.0f} / {self.first_p95_ms:.0f} ms"
        p95 = f"{self.p95_ms:.0f} ms" if self.p95_ms is not None else ""
        memory = f"{self.memory_mib} MiB" if self.memory_mib is not None else ""
        return (
            f"{self.model:<10} {self.workers:>7} {first:>21} {self.real_time_factor:>12.2f} "
            f"{self.conversations:>12} {p95:>9} {memory:>9}"
        )


def directories(names: Sequence[str], settings: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each name and the model's path, made for as long as it is used.

    `vits`, `xtts`: Coqui's with random weights; `trained`: the engine and model of the settings.
    Raises ConfigurationError when the library is not installed.
    """
    for name in names:
        if name == TRAINED:
            yield name, config.load(environment={}, settings=[*settings]).tts.model
            continue
        with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as directory:
            yield name, str(_made(name, Path(directory) / name))


async def measure(
    model: str,
    path: str,
    workers: int,
    device_name: str,
    settings: Sequence[str],
    limits: Limits,
) -> Found:
    """Measure one voice. Raises StartupError when its workers do not come up."""
    before_mib = device.used_mib(device_name)
    engine = [] if model == TRAINED else ["tts.engine=coqui"]
    chosen = [*engine, f"tts.model={path}", f"tts.device={device_name}", *settings]
    async with pool("tts", workers, chosen, start_s=LOADING_S) as dispatcher:
        client = Client(dispatcher)
        speed = await _speed(client) if model == "vits" else 1.0
        for text in TEXTS[:1] * workers:
            await _said(client, text, speed)
        alone = await _alone(client, speed)

        async def turn(number: int, due_s: float) -> tuple[float, float]:
            spoken = await _said(client, TEXTS[number % len(TEXTS)], speed, number, due_s)
            return spoken.first_ms, spoken.late_ms

        conversations, p95_ms = await carried(turn, limits)
        after_mib = device.used_mib(device_name)
    return Found(
        model=model,
        workers=workers,
        first_p50_ms=percentile([each.first_ms for each in alone], 50) or 0.0,
        first_p95_ms=percentile([each.first_ms for each in alone], 95) or 0.0,
        real_time_factor=percentile([each.took_ms / each.audio_ms for each in alone], 50) or 0.0,
        conversations=conversations,
        p95_ms=p95_ms,
        memory_mib=None if after_mib is None else after_mib - (before_mib or 0),
    )


async def _said(
    client: Client, text: str, speed: float, session: int = 0, due_s: float | None = None
) -> Spoken:
    command = Synthesize(text=text, voice="", speed=speed)
    return await client.speech(command, most_ms=REPLY_MS, due_s=due_s, session=session)


async def _alone(client: Client, speed: float) -> list[Spoken]:
    """Return replies spoken one after the other: each of `TEXTS` thrice, fewer of a slow voice."""
    spoken: list[Spoken] = []
    begun_s = time.monotonic()
    for text in TEXTS * _ROUNDS:
        spoken.append(await _said(client, text, speed))
        if time.monotonic() - begun_s > _LONGEST_ALONE_S:
            break
    return spoken


async def _speed(client: Client) -> float:
    """Return the speed at which random durations make about `REPLY_MS` of a text."""
    whole = Synthesize(text=TEXTS[0], voice="")
    spoken = await client.speech(whole, most_ms=float("inf"))
    return min(MAX_SPEED, max(MIN_SPEED, spoken.audio_ms / REPLY_MS))


def _made(name: str, directory: Path) -> Path:
    try:
        import TTS  # noqa: F401
    except ImportError as exc:
        raise ConfigurationError(
            f"{name} needs Coqui and torch ({exc}); run: make test-engines"
        ) from exc
    from bench.gpu import coqui_checkpoints

    make = coqui_checkpoints.vits if name == "vits" else coqui_checkpoints.xtts
    return make(directory)
