"""Recordings of people with their transcripts and ends of speech."""

import csv
from pathlib import Path
from typing import NamedTuple

from antiphon.recording import Recording, load
from antiphon_proto.errors import ConfigurationError

DEFAULT_CLIPS = Path(__file__).parent.parent / "tests" / "data" / "speech"
MANIFEST = "manifest.csv"


class Clip(NamedTuple):
    """A recording and what is said in it."""

    recording: Recording
    transcript: str


def read_clips(directory: Path) -> list[Clip]:
    """Return the clips that `manifest.csv` in a directory lists.

    Its columns `file`, `transcript` and `vad_end` (seconds) are used; rows without a transcript
    are skipped. Raises ConfigurationError when there is no such manifest or it lists nothing.
    """
    try:
        with (directory / MANIFEST).open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if row["transcript"] and row["vad_end"]]
    except OSError as exc:
        raise ConfigurationError(f"cannot read {directory / MANIFEST}: {exc.strerror}") from exc
    except KeyError as exc:
        raise ConfigurationError(f"{directory / MANIFEST} has no column {exc}") from exc
    if not rows:
        raise ConfigurationError(f"{directory / MANIFEST} lists no clip with a transcript")
    return [
        Clip(load(directory / row["file"], end_ms=float(row["vad_end"]) * 1000), row["transcript"])
        for row in rows
    ]
