"""OpenTelemetry: one trace a response, with a span for each job that it needed. No words in it.

Spans are made when the response has ended, with the times at which things happened. Without the
extra `otel`, or without `tracing.endpoint`, nothing is made.
"""

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from antiphon_gateway.effects import Effect, NoteTurn, SendAudio, SendEvent
from antiphon_gateway.job_records import JobRecord
from antiphon_gateway.realtime.server_events import ResponseCreated, ResponseDone
from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import Generate, ReadPrompt, Synthesize, Transcribe

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

MOST_JOBS = 128
"""Jobs of one session that wait for their response to end; older ones are forgotten."""
_NS_PER_MS = 1_000_000


def create_tracer(config: Config) -> "Tracer | None":
    """Return what makes spans; None when no traces are wanted.

    Raises StartupError when traces are wanted and the extra is not installed.
    """
    if not config.tracing.endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as exc:
        raise StartupError(
            "tracing.endpoint is set and OpenTelemetry is missing; "
            "run: pip install 'antiphon[otel]'"
        ) from exc
    resource = Resource.create(
        {"service.name": "antiphon-gateway", "service.instance.id": config.gateway.name}
    )
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint=f"{config.tracing.endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider.get_tracer("antiphon")


class TurnTraces:
    """Watches one session and makes its spans."""

    def __init__(self, tracer: "Tracer", session_id: str, model: str) -> None:
        self._tracer = tracer
        self._session_id = session_id
        self._model = model
        self._jobs: deque[JobRecord] = deque(maxlen=MOST_JOBS)
        self._begun_ms: float | None = None
        self._audio_ms: tuple[float, float] | None = None
        self._turn_id = 0
        self._speech_end_ms: float | None = None

    def observe(self, effect: Effect, now_ms: float) -> None:
        """Note when a response and its audio began and ended."""
        if isinstance(effect, SendAudio):
            first_ms = now_ms if self._audio_ms is None else self._audio_ms[0]
            self._audio_ms = first_ms, now_ms
        elif isinstance(effect, NoteTurn):
            self._turn_id = effect.turn_id
            self._speech_end_ms = now_ms - effect.steps_ms.get("audio_sent", 0.0)
        elif isinstance(effect, SendEvent):
            if isinstance(effect.event, ResponseCreated):
                self._begun_ms = now_ms
            elif isinstance(effect.event, ResponseDone):
                self._finish(effect.event, now_ms)

    def job_ended(self, record: JobRecord) -> None:
        """Keep a job until its response ends."""
        self._jobs.append(record)

    def _finish(self, done: ResponseDone, now_ms: float) -> None:
        begun_ms = self._begun_ms if self._begun_ms is not None else now_ms
        start_ms = min(begun_ms, self._speech_end_ms or begun_ms)
        wall_ns = time.time_ns() - int(now_ms * _NS_PER_MS)
        from opentelemetry import trace

        root = self._tracer.start_span(
            "antiphon.turn",
            start_time=wall_ns + int(start_ms * _NS_PER_MS),
            attributes={
                "antiphon.session_id": self._session_id,
                "antiphon.turn_id": self._turn_id,
                "antiphon.response_id": done.response.id,
                "antiphon.outcome": done.response.status,
            },
        )
        inside = trace.set_span_in_context(root)
        for record in self._jobs:
            name, attributes = self._described(record)
            span = self._tracer.start_span(
                name,
                context=inside,
                start_time=wall_ns + int(record.submitted_ms * _NS_PER_MS),
                attributes=attributes,
            )
            span.end(wall_ns + int((record.ended_ms or now_ms) * _NS_PER_MS))
        if self._audio_ms is not None:
            first_ms, last_ms = self._audio_ms
            start_ns = wall_ns + int(first_ms * _NS_PER_MS)
            span = self._tracer.start_span("playback", context=inside, start_time=start_ns)
            span.end(wall_ns + int(last_ms * _NS_PER_MS))
        root.end(wall_ns + int(now_ms * _NS_PER_MS))
        self._jobs.clear()
        self._begun_ms = self._audio_ms = self._speech_end_ms = None

    def _described(self, record: JobRecord) -> tuple[str, dict[str, Any]]:
        """Return the name of a job's span, and its attributes."""
        request = record.request
        attributes: dict[str, Any] = {
            "antiphon.job_id": request.job_id,
            "antiphon.outcome": record.outcome,
            "antiphon.engine_ms": record.engine_ms,
        }
        if record.first_ms is not None:
            attributes["antiphon.first_result_ms"] = record.first_ms - record.submitted_ms
        match request.command:
            case Transcribe(final=final):
                return ("stt" if final else "stt-partial"), attributes
            case Generate():
                attributes |= {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.request.model": self._model,
                    "gen_ai.usage.input_tokens": record.input_tokens,
                    "gen_ai.usage.output_tokens": record.output_tokens,
                }
                return "llm", attributes
            case ReadPrompt():
                return "llm-read-ahead", attributes
            case Synthesize():
                return "tts", attributes
            case _:
                return "endpoint", attributes
