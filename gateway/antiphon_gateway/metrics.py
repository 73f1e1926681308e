"""What Prometheus is told. Names and labels are a contract; no label has more than a few values."""

import asyncio
import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from antiphon_gateway.dispatch.counters import DROPPED, Counters
from antiphon_gateway.observers import SessionObserver
from antiphon_gateway.session_metrics import SessionMetrics
from antiphon_gateway.tracing import TurnTraces
from antiphon_proto import __version__
from antiphon_proto.messages import Stage, StageState

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

LAG_PERIOD_S = 0.1
_WAIT_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LAG_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
_CLOSE_OUTCOMES = {
    1000: "closed",
    1001: "closed",
    1005: "closed",
    1008: "policy",
    1009: "policy",
    1011: "error",
    1012: "restart",
    1013: "overload",
}


class Metrics:
    """The gateway's counters and histograms, and what is read when it is asked for."""

    def __init__(self, tracer: "Tracer | None" = None) -> None:
        """With a `tracer` sessions make spans too."""
        self._tracer = tracer
        self._registry = CollectorRegistry()
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._ended = self._counter("sessions", "Sessions that ended, by how", "outcome")
        self.sessions = SessionMetrics(self._registry)
        self._wait = self._histogram(
            "queue_wait_seconds", "Time a job waited for a worker", _WAIT_S, "stage", "urgent"
        )
        self._duration = self._histogram(
            "stage_duration_seconds",
            "Time from a job's submission to its end",
            _WAIT_S,
            "stage",
            "kind",
            "outcome",
        )
        self._lag = self._histogram(
            "event_loop_lag_seconds", "How late the event loop woke up", _LAG_S
        )

    def observer(self, session_id: str, model: str) -> SessionObserver:
        """Return who watches a session that begins; `model` answers in it."""
        if self._tracer is None:
            return SessionObserver([self.sessions])
        traces = TurnTraces(self._tracer, session_id, model)
        return SessionObserver([self.sessions, traces])

    def include(self, collector: Collector) -> None:
        """Ask a collector too, at every scrape."""
        self._registry.register(collector)

    async def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        # The process's own figures are read from files, the rest belongs to the event loop.
        process = await asyncio.to_thread(generate_latest, self._process)
        return generate_latest(self._registry) + process

    # --- what happens ------------------------------------------------------------------------

    def session_ended(self, close_code: int | None) -> None:
        """A session was closed with this code, or was lost."""
        self._ended.labels(_CLOSE_OUTCOMES.get(close_code or 0, "lost")).inc()

    def job_waited(self, stage: Stage, urgent: bool, waited_ms: int) -> None:
        """A job got its first worker."""
        self._wait.labels(stage, str(urgent).lower()).observe(waited_ms / 1000)

    def job_ended(self, stage: Stage, kind: str, outcome: str, took_ms: int) -> None:
        """A job is over."""
        self._duration.labels(stage, kind, outcome).observe(took_ms / 1000)

    async def watch_event_loop(self) -> None:
        """Measure how late the event loop is, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + LAG_PERIOD_S
            await asyncio.sleep(LAG_PERIOD_S)
            self._lag.observe(max(0.0, loop.time() - due_s))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"antiphon_{name}", text, labels, registry=self._registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"antiphon_{name}", text, labels, registry=self._registry, buckets=buckets)


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the gateway at one moment."""

    sessions: int
    draining: bool
    pending_input_bytes: int
    tasks: int
    """Tasks of the event loop."""
    refused: Mapping[str, int]
    overloaded: frozenset[Stage]
    stages: Mapping[Stage, StageState]
    counters: Counters


def families(now: Snapshot) -> Iterator[Metric]:
    """Yield the metrics that are read rather than counted."""
    yield _gauge("build_info", "Version of the gateway", {(__version__,): 1}, "version")
    yield _gauge("sessions_active", "Sessions that are open", {(): now.sessions})
    yield _gauge("draining", "Whether the gateway is stopping", {(): int(now.draining)})
    yield _gauge(
        "input_pending_bytes", "Input received and not handled", {(): now.pending_input_bytes}
    )
    yield _gauge("event_loop_tasks", "Tasks of the event loop", {(): now.tasks})
    refused = CounterMetricFamily(
        "antiphon_sessions_refused", "Handshakes refused, by cause", labels=["cause"]
    )
    for cause, count in sorted(now.refused.items()):
        refused.add_metric([cause], count)
    yield refused
    events = CounterMetricFamily(
        "antiphon_dispatch_events", "What befell jobs and workers", labels=["event"]
    )
    for field in dataclasses.fields(now.counters):
        if field.type is int:
            events.add_metric([field.name], getattr(now.counters, field.name))
    yield events
    dropped = CounterMetricFamily(
        "antiphon_messages_dropped",
        "Messages between processes dropped, by stage and why",
        labels=["stage", "reason"],
    )
    for reason, stages in DROPPED.items():
        for stage in stages:
            dropped.add_metric([stage, reason], now.counters.dropped[reason, stage])
    yield dropped
    for name, text, values in (
        (
            "queue_depth",
            "Jobs that wait for a worker",
            {s: r.queued for s, r in now.stages.items()},
        ),
        ("worker_up", "Workers that are connected", {s: _up(r) for s, r in now.stages.items()}),
        ("worker_slots", "Jobs that they may hold", {s: _slots(r) for s, r in now.stages.items()}),
        ("worker_slots_busy", "Jobs that they hold", {s: _busy(r) for s, r in now.stages.items()}),
        (
            "admission_refusing",
            "Whether the stage is too busy for new sessions",
            {stage: int(stage in now.overloaded) for stage in now.stages},
        ),
    ):
        by_stage: dict[tuple[str, ...], int] = {(stage,): value for stage, value in values.items()}
        yield _gauge(name, text, by_stage, "stage")
    yield _gauge(
        "worker_model_load_seconds",
        "How long the slowest of the stage's workers took to load",
        {(stage,): _load_s(state) for stage, state in now.stages.items()},
        "stage",
    )


def _load_s(stage: StageState) -> float:
    return max((worker.load_ms / 1000 for worker in stage.workers if worker.connected), default=0.0)


def _up(stage: StageState) -> int:
    return sum(worker.connected for worker in stage.workers)


def _slots(stage: StageState) -> int:
    return sum(worker.slots for worker in stage.workers if worker.connected)


def _busy(stage: StageState) -> int:
    return sum(worker.outstanding for worker in stage.workers if worker.connected)


def _gauge(
    name: str, text: str, values: Mapping[tuple[str, ...], float], *labels: str
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"antiphon_{name}", text, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family
