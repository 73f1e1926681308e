"""Pure: what `antiphon top` shows, from what gateways and nvidia-smi say."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from antiphon_proto.gpus import Gpu

MOST_SESSIONS = 20
"""Rows; the others are counted."""

Buckets = dict[float, float]
"""Upper bound in seconds to how many were not above it."""


class Seen(msgspec.Struct, frozen=True):
    """What was seen at one moment."""

    statuses: tuple[Mapping[str, Any], ...]
    """`/v1/status` of each gateway."""
    metrics: tuple[str, ...]
    """`/metrics` of each gateway."""
    gpus: tuple[Gpu, ...] = ()
    placed: Mapping[str, int | None] = {}
    """The card of each worker of this machine."""


def screen(seen: Seen, before: Seen | None = None) -> str:
    """Return the whole picture. Waits and latencies are those since `before`, or of all time."""
    if not seen.statuses:
        return "no gateway answers\n"
    parts = [_head(seen, before), _stages(seen, before), _workers(seen)]
    if seen.gpus:
        parts.append(_gpus(seen.gpus))
    parts.append(_sessions(seen))
    return "\n".join(parts)


def _head(seen: Seen, before: Seen | None) -> str:
    first = seen.statuses[0]
    sessions = _all_sessions(seen)
    talking = sum(session["state"] == "in turn" for session in sessions)
    uptime_s = min(status["uptime_s"] for status in seen.statuses)
    line = f"antiphon {first['version']}, up {_duration(uptime_s)}, "
    line += f"{_count(len(seen.statuses), 'gateway')}, {_count(len(sessions), 'session')}"
    line += f", {talking} in turn"
    notes = ["draining"] if any(status["draining"] for status in seen.statuses) else []
    notes += [f"overloaded: {stage}" for stage in first["overloaded"]]
    latency = _since(seen, before, "antiphon_turn_response_latency_seconds", {})
    span = "since the last picture" if before else "since the start"
    turns = max(latency.values(), default=0)
    second = f"end of speech to first audio: p50 {_quantile(latency, 0.5)}, "
    second += f"p95 {_quantile(latency, 0.95)} of {_count(round(turns), 'turn')} {span}"
    return "".join(f"{text}\n" for text in (line, second, *notes))


def _stages(seen: Seen, before: Seen | None) -> str:
    rows = [["STAGE", "WORKERS", "BUSY", "WAITING", "OLDEST", "WAIT P95", ""]]
    for stage, state in seen.statuses[0]["stages"].items():
        waits = _since(
            seen, before, "antiphon_queue_wait_seconds", {"stage": stage, "urgent": "true"}
        )
        rows.append(
            [
                stage,
                str(sum(worker["connected"] for worker in state["workers"])),
                f"{state['running']} of {state['slots']}",
                str(state["queued"]),
                f"{state['oldest_wait_ms']} ms",
                _quantile(waits, 0.95),
                "" if state["ready"] else state["reason"],
            ]
        )
    return _table(rows)


def _workers(seen: Seen) -> str:
    rows = [["WORKER", "RUNS ON", "ENGINE", "MODEL", "BUSY", "LOADED IN", ""]]
    for state in seen.statuses[0]["stages"].values():
        for worker in sorted(state["workers"], key=lambda found: _order(found["worker_id"])):
            name, gpu = worker["worker_id"], seen.placed.get(worker["worker_id"])
            note = "" if worker["slots"] else "draining"
            rows.append(
                [
                    name,
                    f"GPU {gpu}" if gpu is not None else "here" if name in seen.placed else "?",
                    worker["engine"],
                    worker["model"],
                    f"{worker['outstanding']} of {worker['slots']}",
                    f"{worker['load_ms'] / 1000:.1f} s",
                    note if worker["connected"] else "not connected",
                ]
            )
    return _table(rows)


def _gpus(gpus: Sequence[Gpu]) -> str:
    rows = [["GPU", "NAME", "BUSY", "MEMORY"]]
    for gpu in gpus:
        busy = "?" if gpu.busy_percent is None else f"{gpu.busy_percent} %"
        used, total = ("?" if m is None else str(m) for m in (gpu.used_mib, gpu.memory_mib))
        rows.append([str(gpu.index), gpu.name, busy, f"{used} of {total} MiB"])
    return _table(rows)


def _sessions(seen: Seen) -> str:
    sessions = sorted(_all_sessions(seen), key=lambda s: (s["state"] != "in turn", -s["age_s"]))
    rows = [["SESSION", "AGE", "STATE", "GATEWAY"]]
    rows += [
        [session["id"], _duration(session["age_s"]), session["state"], session["gateway"]]
        for session in sessions[:MOST_SESSIONS]
    ]
    hidden = len(sessions) - MOST_SESSIONS
    return _table(rows) + (f"and {_count(hidden, 'session')} more\n" if hidden > 0 else "")


def _all_sessions(seen: Seen) -> list[dict[str, Any]]:
    return [
        {**session, "gateway": status["gateway"]}
        for status in seen.statuses
        for session in status["sessions"]
    ]


def _since(seen: Seen, before: Seen | None, name: str, labels: Mapping[str, str]) -> Buckets:
    now = _buckets(seen.metrics, name, labels)
    then = _buckets(before.metrics, name, labels) if before else {}
    # A gateway that was started again counts from nothing.
    return {bound: max(0.0, count - then.get(bound, 0.0)) for bound, count in now.items()}


def _buckets(texts: Iterable[str], name: str, labels: Mapping[str, str]) -> Buckets:
    found: Buckets = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples if family.name == name else ():
                fits = all(sample.labels.get(key) == value for key, value in labels.items())
                if sample.name == f"{name}_bucket" and fits:
                    bound = float(sample.labels["le"])
                    found[bound] = found.get(bound, 0.0) + sample.value
    return found


def _quantile(buckets: Buckets, part: float) -> str:
    """Return in which bucket a quantile lies, interpolated as Prometheus does it."""
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if not total:
        return "-"
    wanted = part * total
    for low, high in pairwise([0.0, *bounds]):
        below = buckets.get(low, 0.0)
        if buckets[high] >= wanted:
            if high == float("inf"):
                return f"> {low:g} s"
            inside = (wanted - below) / (buckets[high] - below) if buckets[high] > below else 1.0
            return f"{(low + (high - low) * inside) * 1000:.0f} ms"
    return "-"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _order(worker_id: str) -> tuple[str, int]:
    stage, _, index = worker_id.rpartition("-")
    return stage, int(index) if index.isdigit() else 0


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _duration(seconds: float) -> str:
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest_s} s" if minutes else f"{rest_s} s"
