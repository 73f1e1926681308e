"""How far a model is that is being fetched: for people, or as JSON for programs."""

import json
import sys
import time

from antiphon.sizes import megabytes

_TERMINAL_S = 0.5
_QUIET_S = 15.0
"""Between two lines when nobody watches a terminal."""
_JSON_S = 0.25


class Progress:
    """For people: on a terminal a line that is written over, elsewhere a line now and then."""

    def __init__(self) -> None:
        self._period_s = _TERMINAL_S if sys.stdout.isatty() else _QUIET_S
        self._shown = ""
        self._shown_at = time.monotonic()

    def say(self, text: str) -> None:
        """Tell something beside the figures."""
        print(text, flush=True)

    def show(self, doing: str, done_bytes: int, total_bytes: int) -> None:
        """Tell how far it is; `doing` names the model, and what is done with it."""
        now = time.monotonic()
        if doing == self._shown and now - self._shown_at < self._period_s:
            return
        self._shown, self._shown_at = doing, now
        self._write(doing, done_bytes, total_bytes)

    def _write(self, doing: str, done_bytes: int, total_bytes: int) -> None:
        size = f": {done_bytes // 1_000_000} of {megabytes(total_bytes)}" if total_bytes else ""
        print(f"  {doing}{size}", end="\r" if sys.stdout.isatty() else "\n", flush=True)


class JsonProgress(Progress):
    """For programs: a JSON object a line, with `doing`, `done_bytes` and `total_bytes`."""

    def __init__(self) -> None:
        super().__init__()
        self._period_s = _JSON_S

    def say(self, text: str) -> None:
        """Leave it out."""

    def _write(self, doing: str, done_bytes: int, total_bytes: int) -> None:
        figures = {"doing": doing, "done_bytes": done_bytes, "total_bytes": total_bytes}
        print(json.dumps(figures), flush=True)
