"""JSON log lines, with the session and turn they belong to, and no field that is not listed."""

import contextvars
import json
import logging
import sys
import time

from antiphon_proto import turn_steps

_context: contextvars.ContextVar[dict[str, str | int]] = contextvars.ContextVar(
    "log_context",
    default={},  # noqa: B039 - never mutated, replaced by `bind`
)
FIELDS = frozenset(
    {
        *("session_id", "turn_id", "revision", "job_id", "attempt", "response_id"),
        *("worker", "gateways", "reissued", "channel", "peer", "host", "port", "path"),
        *("sessions", "requests", "running", "count", "dropped", "sent_again_from"),
        *("extensions", "microphone", "close_code", "code", "error", "fault", "reason", "state"),
        *("engine", "model", "load_ms", "engine_ms", "took_s", "waited_s", "gap_ms"),
        *("heard_ms", "retractions", "silence_ms"),
        *(f"{step}_ms" for step in turn_steps.STEPS),
    }
)
"""What a line may hold besides its event. A field of another name, which may hold what was said or
a key, is left out, also where another package logs it; `left_out` has its name."""
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def bind(**fields: str | int) -> None:
    """Add fields such as `session_id` to every record of the current task and its children."""
    _context.set({**_context.get(), **fields})


def configure(role: str, level: str = "INFO") -> None:
    """Send all records of this process to standard error, one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(role))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)


class _JsonFormatter(logging.Formatter):
    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        milliseconds = int(record.msecs)
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        fields = {**_context.get(), **fields}
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{stamp}.{milliseconds:03d}Z",
            "level": record.levelname.lower(),
            "role": self._role,
            "logger": record.name,
            "event": record.getMessage(),
            **{key: value for key, value in fields.items() if key in FIELDS},
        }
        if unlisted := sorted(fields.keys() - FIELDS):
            line["left_out"] = unlisted
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)
