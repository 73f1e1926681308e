"""Reads the programs' log files: what went wrong last, and what is new."""

import json
import os
from pathlib import Path

TAIL_BYTES = 16_384


def last_error(path: Path) -> str:
    """Return the last error of a log: the text of a line that is not JSON or is logged as an error.

    Empty when there is none. The end of a traceback names the exception, so it serves as one.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        if line.strip() and (text := _error_text(line.strip())):
            return text
    return ""


def _error_text(line: str) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if not isinstance(record, dict):
        return line
    if record.get("level") not in ("error", "critical"):
        return ""
    event = str(record.get("event", ""))
    traceback = str(record.get("traceback", "")).strip().splitlines()
    return f"{event}: {traceback[-1]}" if traceback else event


class Tail:
    """Follows a log file over its rotation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = 0
        self._offset = 0
        self._partial = ""

    def new_lines(self) -> list[str]:
        """Return the complete lines written since the last call."""
        try:
            with self._path.open("rb") as stream:
                status = os.fstat(stream.fileno())
                if status.st_ino != self._inode or status.st_size < self._offset:
                    self._inode, self._offset = status.st_ino, 0
                stream.seek(self._offset)
                data = stream.read()
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *lines, self._partial = (self._partial + data.decode(errors="replace")).split("\n")
        return lines
