"""Whether main memory has room for the workers that a change adds before others leave."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from antiphon.sizes import megabytes
from antiphon_proto import machine, models
from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError

PROCESS_BYTES = 300_000_000
"""What a worker takes beside its model."""
OF_FILES = 1.5
"""What a model takes, with what it computes in, by the size of its files. So the workers of the
default configuration come to 410, 450 and 400 MB; measured: 340, 510 and 410."""
IGNORE_HELP = "also where main memory does not seem to hold old and new together"


def check(needs_bytes: Sequence[int], what: str) -> None:
    """Raise StartupError when memory does not hold new workers of these sizes beside all else."""
    free = machine.available_bytes()
    if free is not None and sum(needs_bytes) > free:
        raise StartupError(
            f"no room for {what}: that takes about {megabytes(sum(needs_bytes))} of main memory "
            f"beside what runs, and {megabytes(free)} are free; end other programs, run fewer "
            "workers, or stop the server and start it with the new settings; --ignore-memory "
            "does it all the same"
        )


def of_model(model: str, settings: Config) -> int | None:
    """Return about how much a worker with a model of this machine takes; None: nobody knows."""
    entry = models.manifest().get(model)
    if entry is not None:
        size = entry.bytes
    elif (path := Path(model).expanduser()).exists():
        files = path.rglob("*") if path.is_dir() else [path]
        size = sum(file.stat().st_size for file in files if file.is_file())
    else:
        return None
    return PROCESS_BYTES + int(OF_FILES * size)


def resident(pids: Iterable[int]) -> list[int]:
    """Return what processes hold in main memory; those that are gone are left out."""
    found: list[int] = []
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        except OSError:
            continue
        sizes = [line.split()[1] for line in text.splitlines() if line.startswith("VmRSS:")]
        found += (1024 * int(size) for size in sizes)
    return found
