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
_GROUP = Path("/sys/fs/cgroup")
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
    free = free_bytes(total, _read(_MEMORY), _read(_GROUP / "memory.max"))
    return Machine(cores, free, card_bytes(gpus.present().gpus) if cards else 0)


def free_bytes(total_bytes: int, meminfo: str, limit: str) -> int:
    """Return the memory for a model, by the texts that Linux has about it; pure."""
    if limit.strip().isdigit():
        total_bytes = min(total_bytes, int(limit))
    room = [total_bytes - SYSTEM_BYTES]
    if (available := _entry(meminfo, "MemAvailable:")) is not None:
        room.append(available * 1024)
    return max(0, min(room))


def available_bytes() -> int | None:
    """Return the main memory that a process may still take; None where the system tells nothing."""
    group = (_read(_GROUP / name) for name in ("memory.max", "memory.current", "memory.stat"))
    return room_bytes(_read(_MEMORY), *group)


def room_bytes(meminfo: str, limit: str, used: str, stat: str) -> int | None:
    """Return the same by the texts that Linux has about it; pure."""
    rooms = []
    if (available := _entry(meminfo, "MemAvailable:")) is not None:
        rooms.append(available * 1024)
    if limit.strip().isdigit() and used.strip().isdigit():
        # Files that were read are counted as used, and forgotten when memory is needed.
        rooms.append(int(limit) - int(used) + (_entry(stat, "inactive_file") or 0))
    return max(0, min(rooms)) if rooms else None


def _entry(text: str, key: str) -> int | None:
    """Return the number in the line of a file of the system that begins with a key."""
    lines = (line.split() for line in text.splitlines())
    return next((int(words[1]) for words in lines if words[:1] == [key]), None)


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
