"""The picture of `antiphon top`, from what gateways say."""

from typing import Any

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from antiphon.top_view import MOST_SESSIONS, Seen, screen
from antiphon_proto.gpus import parse

BOUNDS = (0.1, 0.2, 0.4, 1.0)


def stage(name: str, *workers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    state = {"stage": name, "ready": True, "reason": f"{name}-0 is ready", "queued": 0}
    return {**state, "oldest_wait_ms": 0, "running": 0, "slots": 2, "workers": workers, **changes}


def worker(name: str, **changes: Any) -> dict[str, Any]:
    found = {"worker_id": name, "pid": 7, "engine": "simulated", "model": "tiny.en", "slots": 2}
    return {**found, "outstanding": 1, "connected": True, "load_ms": 1234, **changes}


def status(gateway: str = "gateway-0", **changes: Any) -> dict[str, Any]:
    stages = {
        "stt": stage("stt", worker("stt-10", slots=0), worker("stt-2"), queued=3),
        "llm": stage("llm", worker("llm-0", connected=False)),
        "tts": stage("tts", ready=False, reason="no worker has announced itself"),
    }
    found = {"version": "0.1.0", "gateway": gateway, "uptime_s": 7380, "draining": False}
    return {**found, "overloaded": [], "stages": stages, "sessions": [], **changes}


def metrics(*latencies_s: float) -> str:
    registry = CollectorRegistry()
    latency = Histogram(
        "antiphon_turn_response_latency_seconds", "x", registry=registry, buckets=BOUNDS
    )
    wait = Histogram(
        "antiphon_queue_wait_seconds", "x", ["stage", "urgent"], registry=registry, buckets=BOUNDS
    )
    for latency_s in latencies_s:
        latency.observe(latency_s)
        wait.labels("stt", "true").observe(0.05)
        wait.labels("stt", "false").observe(0.9)
    return generate_latest(registry).decode()


def sessions(count: int, state: str) -> list[dict[str, Any]]:
    return [{"id": f"sess_{state[:2]}{n}", "age_s": n, "state": state} for n in range(count)]


def test_each_worker_is_shown_with_its_card_in_the_order_of_its_number() -> None:
    seen = Seen((status(),), (metrics(),), placed={"stt-2": 1, "llm-0": None})
    lines = [line.split() for line in screen(seen).splitlines()]
    rows = {words[0]: words for words in lines if words}
    assert rows["stt-2"][1:3] == ["GPU", "1"]
    assert rows["stt-2"][-5:] == ["1", "of", "2", "1.2", "s"]
    assert rows["llm-0"][1] == "here"
    assert rows["llm-0"][-2:] == ["not", "connected"]
    assert rows["stt-10"][1] == "?"
    assert rows["stt-10"][-1] == "draining"
    names = [words[0] for words in lines if words]
    assert names.index("stt-2") < names.index("stt-10")


def test_a_stage_tells_what_waits_and_why_it_cannot_work() -> None:
    text = screen(Seen((status(),), (metrics(0.15, 0.3),)))
    rows = {line.split()[0]: line for line in text.splitlines() if line[:3] in ("stt", "tts")}
    assert "95 ms" in rows["stt"]  # of urgent jobs alone
    assert rows["tts"].endswith("no worker has announced itself")


def test_latency_is_that_since_the_picture_before() -> None:
    before = Seen((status(),), (metrics(0.05, 0.05, 0.05),))
    now = Seen((status(),), (metrics(0.05, 0.05, 0.05, 0.3, 0.3),))
    assert "p50 300 ms, p95 390 ms of 2 turns since the last picture" in screen(now, before)
    assert "of 5 turns since the start" in screen(now)
    assert "p50 -, p95 - of 0 turns" in screen(now, now)
    assert "p95 > 1 s of 1 turn " in screen(Seen((status(),), (metrics(3.0),)))


def test_a_gateway_that_was_started_again_counts_from_nothing() -> None:
    before = Seen((status(),), (metrics(0.05, 0.05, 0.05),))
    assert "of 0 turns" in screen(Seen((status(),), (metrics(0.05),)), before)


def test_sessions_of_all_gateways_are_counted_and_those_in_a_turn_come_first() -> None:
    first = status(sessions=sessions(MOST_SESSIONS, "idle"), uptime_s=60)
    second = status("gateway-1", sessions=sessions(2, "in turn"), draining=True)
    text = screen(Seen((first, second), (metrics(), metrics())))
    assert "up 1 min 0 s, 2 gateways, 22 sessions, 2 in turn" in text
    assert "draining" in text.splitlines()
    rows = [line.split() for line in text.partition("SESSION")[2].splitlines()[1:]]
    assert rows[0][0] == "sess_in1"
    assert rows[0][-1] == "gateway-1"
    assert rows[-1] == ["and", "2", "sessions", "more"]
    assert len(rows) == MOST_SESSIONS + 1


def test_what_a_card_does_not_tell_is_a_question_mark() -> None:
    cards = parse(
        "0, GPU-a, NVIDIA A10, 23028, 11894, 37\n1, GPU-b, NVIDIA GB10, [N/A], [N/A], 5\n"
    )
    text = screen(Seen((status(),), (metrics(),), cards.gpus))
    assert "0    NVIDIA A10   37 %  11894 of 23028 MiB" in text.splitlines()
    assert "1    NVIDIA GB10  5 %   ? of ? MiB" in text.splitlines()


def test_nothing_to_show_is_said() -> None:
    assert screen(Seen((), ())) == "no gateway answers\n"
