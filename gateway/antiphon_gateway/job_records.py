"""Pure: how each job of one session went, from its submission to its end."""

from collections.abc import Callable
from dataclasses import dataclass

from antiphon_gateway.dispatch.request import Request
from antiphon_proto.messages import (
    STT_SAMPLE_RATE_HZ,
    AudioDelta,
    Done,
    Failed,
    Result,
    Transcribe,
)

MOST = 256
"""Jobs of one session that are followed at once; more are not."""


@dataclass(slots=True)
class JobRecord:
    """One job. Times are of the event loop's clock, in milliseconds."""

    request: Request
    submitted_ms: float
    first_ms: float | None = None
    """When its first result came."""
    ended_ms: float | None = None
    outcome: str = "cancelled"
    """`done`, `failed` or `cancelled`."""
    engine_ms: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    audio_ms: float = 0.0
    """Audio that was heard or made."""


class JobRecords:
    """Follows a session's jobs; tells of each once, when it has ended."""

    def __init__(self, tell: Callable[[JobRecord], None]) -> None:
        self._tell = tell
        self._open: dict[str, JobRecord] = {}

    def submitted(self, request: Request, now_ms: float) -> None:
        """A job was asked for."""
        if len(self._open) >= MOST:
            return
        record = JobRecord(request, now_ms)
        if isinstance(request.command, Transcribe):
            record.audio_ms = len(request.payload) / 2 / STT_SAMPLE_RATE_HZ * 1000
        self._open[request.job_id] = record

    def result(self, result: Result, payload: bytes, now_ms: float) -> None:
        """A result came."""
        record = self._open.get(result.job_id)
        if record is None:
            return
        if record.first_ms is None:
            record.first_ms = now_ms
        body = result.body
        if isinstance(body, AudioDelta):
            record.audio_ms += len(payload) / 2 / body.sample_rate_hz * 1000
        elif isinstance(body, Done):
            record.engine_ms = body.engine_ms
            record.input_tokens, record.output_tokens = body.input_tokens, body.output_tokens
            self._end(result.job_id, "done", now_ms)
        elif isinstance(body, Failed):
            self._end(result.job_id, "failed", now_ms)

    def cancelled(self, job_ids: tuple[str, ...], now_ms: float) -> None:
        """Jobs were given up."""
        for job_id in job_ids:
            self._end(job_id, "cancelled", now_ms)

    def _end(self, job_id: str, outcome: str, now_ms: float) -> None:
        if record := self._open.pop(job_id, None):
            record.outcome, record.ended_ms = outcome, now_ms
            self._tell(record)
