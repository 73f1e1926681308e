"""What Prometheus is told of sessions: their turns, and how their jobs went."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from antiphon_gateway.effects import Effect, NoteClientUnderruns, NoteTurn, SendEvent
from antiphon_gateway.job_records import JobRecord
from antiphon_gateway.realtime.server_events import ResponseDone
from antiphon_proto.messages import Generate, Synthesize

_LATENCY_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_FACTOR = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0)


class SessionMetrics:
    """Watches every session."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._turns = _counter(registry, "turns", "Responses that ended, by status", "outcome")
        self._interruptions = _counter(
            registry, "interruptions", "Responses that the user interrupted"
        )
        self._underruns = _counter(
            registry, "client_playback_underruns", "Times a client had no audio left to play"
        )
        self._response = _histogram(
            registry, "turn_response_latency_seconds", "End of speech to first audio sent"
        )
        self._final = _histogram(
            registry, "stt_final_delay_seconds", "End of speech to the final transcript"
        )
        self._decided = _histogram(
            registry, "eot_delay_seconds", "End of speech to the decision that the turn is over"
        )
        self._first_token = _histogram(
            registry, "llm_time_to_first_token_seconds", "Request to the model's first text"
        )
        self._first_audio = _histogram(
            registry, "tts_time_to_first_byte_seconds", "Clause to its first audio"
        )
        self._factor = Histogram(
            "antiphon_realtime_factor",
            "Time of the engine for each second of audio",
            ("stage",),
            registry=registry,
            buckets=_FACTOR,
        )

    def observe(self, effect: Effect, now_ms: float) -> None:
        """Count what a session does."""
        if isinstance(effect, NoteTurn):
            for step, histogram in (
                ("audio_sent", self._response),
                ("transcript", self._final),
                ("endpoint", self._decided),
            ):
                if (at_ms := effect.steps_ms.get(step)) is not None:
                    histogram.observe(max(0.0, at_ms / 1000))
        elif isinstance(effect, NoteClientUnderruns):
            self._underruns.inc(effect.underruns)
        elif isinstance(effect, SendEvent) and isinstance(effect.event, ResponseDone):
            response = effect.event.response
            self._turns.labels(response.status).inc()
            details = response.status_details
            if details is not None and details.reason == "turn_detected":
                self._interruptions.inc()

    def job_ended(self, record: JobRecord) -> None:
        """Measure how a job went."""
        command = record.request.command
        if record.first_ms is not None:
            first_s = (record.first_ms - record.submitted_ms) / 1000
            if isinstance(command, Generate):
                self._first_token.observe(first_s)
            elif isinstance(command, Synthesize):
                self._first_audio.observe(first_s)
        if record.outcome == "done" and record.audio_ms > 0 and record.request.stage != "llm":
            self._factor.labels(record.request.stage).observe(record.engine_ms / record.audio_ms)


def _counter(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Counter:
    return Counter(f"antiphon_{name}", text, labels, registry=registry)


def _histogram(registry: CollectorRegistry, name: str, text: str) -> Histogram:
    return Histogram(f"antiphon_{name}", text, registry=registry, buckets=_LATENCY_S)
