"""The device that is measured: its name, its memory, and why it cannot be used."""

import os
from pathlib import Path

from antiphon_proto import gpus
from antiphon_proto.errors import ConfigurationError

DEVICES = ("cuda", "cpu")
_CPU_INFO = Path("/proc/cpuinfo")


def name(device: str) -> str:
    """Return what a reader needs to know it by.

    Raises ConfigurationError when `cuda` is asked for and there is no card.
    """
    if device == "cpu":
        return f"{os.cpu_count()} cores of {_processor()}, no card used"
    cards = gpus.present()
    if not cards.gpus:
        raise ConfigurationError(
            f"no NVIDIA card: {cards.problem}; --device cpu tries the program on the processor"
        )
    first = cards.gpus[0]
    memory = f", {first.memory_mib} MiB" if first.memory_mib else ""
    others = f"; {len(cards.gpus) - 1} more not used" if len(cards.gpus) > 1 else ""
    return f"{first.name}{memory}{others}"


def used_mib(device: str) -> int | None:
    """Return how much of the card's memory is taken; None on a processor or where it is not told.

    Raises ConfigurationError as `name` does.
    """
    if device == "cpu":
        return None
    cards = gpus.present()
    if not cards.gpus:
        raise ConfigurationError(f"no NVIDIA card: {cards.problem}")
    return cards.gpus[0].used_mib


def _processor() -> str:
    """Return the processor's name, as Linux tells it."""
    lines = _CPU_INFO.read_text(encoding="utf-8").splitlines() if _CPU_INFO.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "a processor without a name"
