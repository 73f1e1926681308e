"""The memory of the server's processes, where they are ours to see (Linux)."""

import os
from collections.abc import Sequence
from pathlib import Path

_PROC = Path("/proc")


def processes(*words: str) -> list[int]:
    """Return the descendants of this process whose command line holds all these words."""
    return [pid for pid in _descendants(os.getpid()) if _commanded_by(pid, words)]


def resident_mib(pids: Sequence[int]) -> float:
    """Return the resident memory of processes together; those that have ended count nothing."""
    return sum(_resident_bytes(pid) for pid in pids) / 2**20


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in _PROC.glob(f"{pid}/task/*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found


def _commanded_by(pid: int, words: Sequence[str]) -> bool:
    try:
        command = (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
    arguments = command.split("\0")
    return all(any(Path(part).name == word for part in arguments) for word in words)


def _resident_bytes(pid: int) -> int:
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
