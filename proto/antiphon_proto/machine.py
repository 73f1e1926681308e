"""What this machine has for a language model: memory, cores, the memory of its graphics cards."""

import os
import sys
from pathlib import Path

import msgspec

from antiphon_proto import gpus

SYSTEM_BYTES = 3_000_000_000
"""Left to the system, to the speech models and to other programs."""
CARD_BYTES = 500_000_000
"""Left on a graphics card."""
_MIB = 1 << 20
_MEMORY = Path("/proc/meminfo")
_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Of a container."""


class Machine(msgspec.Struct, frozen=True):
    """What a language model may take."""

    cores: int
    memory_bytes: int
    gpu_bytes: int = 0
    """Of the card that has the most free; 0 without one, or when nobody asked."""


def look(*, cards: bool) -> Machine:
    """Return what is there; `cards`: ask nvidia-smi too, which may take seconds to answer."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = free_bytes(total, _read(_MEMORY), _read(_LIMIT))
    return Machine(cores, free, card_bytes(gpus.present().gpus) if cards else 0)


def free_bytes(total_bytes: int, meminfo: str, limit: str) -> int:
    """Return the memory for a model, by the texts that Linux has about it; pure."""
    if limit.strip().isdigit():
        total_bytes = min(total_bytes, int(limit))
    available = next(
        (line.split()[1] for line in meminfo.splitlines() if line.startswith("MemAvailable:")), ""
    )
    room = [total_bytes - SYSTEM_BYTES]
    if available.isdigit():
        room.append(int(available) * 1024)
    return max(0, min(room))


def card_bytes(cards: tuple[gpus.Gpu, ...]) -> int:
    """Return the free memory of the card that has the most; pure."""
    free = [
        (card.memory_mib - (card.used_mib or 0)) * _MIB - CARD_BYTES
        for card in cards
        if card.memory_mib is not None
    ]
    return max(0, *free, 0)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
