"""The graphics cards of this machine, asked of nvidia-smi, which comes with every driver."""

import csv
import subprocess

import msgspec

QUERY = (
    "nvidia-smi",
    "--query-gpu=index,uuid,name,memory.total,memory.used,utilization.gpu",
    "--format=csv,noheader,nounits",
)
TIMEOUT_S = 20.0
"""Without its persistence daemon a driver takes seconds to wake the cards up."""


class Gpu(msgspec.Struct, frozen=True):
    """One card, as nvidia-smi tells of it."""

    index: int
    """Its number in the order of the PCI bus."""
    uuid: str
    name: str
    memory_mib: int | None
    """None where the driver does not say, as with memory shared with the processor."""
    used_mib: int | None = None
    busy_percent: int | None = None


class Cards(msgspec.Struct, frozen=True):
    """What was found."""

    gpus: tuple[Gpu, ...] = ()
    problem: str = ""
    """Why nothing was found."""


def present() -> Cards:
    """Ask nvidia-smi which cards there are."""
    try:
        ended = subprocess.run(QUERY, capture_output=True, text=True, timeout=TIMEOUT_S)
    except FileNotFoundError:
        return Cards(problem="nvidia-smi is not installed")
    except subprocess.TimeoutExpired:
        return Cards(problem=f"nvidia-smi did not answer within {TIMEOUT_S:g} s")
    except OSError as exc:
        return Cards(problem=f"nvidia-smi cannot be run: {exc.strerror}")
    if ended.returncode:
        said = (ended.stdout + ended.stderr).strip().splitlines() or ["nothing"]
        return Cards(problem=f"nvidia-smi failed with code {ended.returncode}: {said[0]}")
    return parse(ended.stdout)


def parse(text: str) -> Cards:
    """Return the cards in the output of `QUERY`."""
    gpus = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if not row:
            continue
        if len(row) != 6 or not row[0].strip().isdigit():
            return Cards(problem=f"nvidia-smi said what is none of its rows: {', '.join(row)!r}")
        index, uuid, name, *figures = (part.strip() for part in row)
        gpus.append(Gpu(int(index), uuid, name, *(_figure(part) for part in figures)))
    return Cards(tuple(gpus), "" if gpus else "nvidia-smi knows no card")


def _figure(text: str) -> int | None:
    """Return a number; None for `[N/A]` and `[Not Supported]`."""
    return int(text) if text.isdigit() else None
