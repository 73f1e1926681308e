"""Endpointing: edges come in order, at the right sample, whatever the session does."""

import random

from antiphon_gateway.endpointing import (
    WINDOW_SAMPLES,
    Edge,
    Endpointer,
    EndpointingRule,
    SpeechEdge,
)


def rule(**changes: int) -> EndpointingRule:
    figures = {
        "min_speech_ms": 96,
        "eager_silence_ms": 200,
        "end_silence_ms": 500,
        "max_utterance_ms": 30_000,
    }
    return EndpointingRule(threshold=0.5, **{**figures, **changes})


def feed(endpointer: Endpointer, script: str) -> list[Edge]:
    """Feed one window per character: `x` speech, `-` in between, `.` silence."""
    probabilities = {"x": 0.9, "-": 0.4, ".": 0.01}
    return [edge for mark in script for edge in endpointer.feed(probabilities[mark])]


def kinds(edges: list[Edge]) -> list[str]:
    return [edge.kind.value for edge in edges]


def test_an_utterance_starts_pauses_and_ends() -> None:
    edges = feed(Endpointer(rule()), "....xxxxxx" + "." * 20)
    assert edges == [
        Edge(SpeechEdge.STARTED, 4 * WINDOW_SAMPLES),
        Edge(SpeechEdge.PAUSED, 10 * WINDOW_SAMPLES),
        Edge(SpeechEdge.ENDED, 10 * WINDOW_SAMPLES),
    ]


def test_short_noise_is_not_speech() -> None:
    assert feed(Endpointer(rule()), "..xx....x..xx" + "." * 30) == []


def test_speech_after_a_pause_resumes_the_same_utterance() -> None:
    edges = feed(Endpointer(rule()), "xxxxx" + "." * 8 + "xxxxx" + "." * 20)
    assert kinds(edges) == ["started", "paused", "resumed", "paused", "ended"]


def test_a_click_in_the_pause_does_not_resume() -> None:
    edges = feed(Endpointer(rule()), "xxxxx" + "." * 8 + "x" + "." * 8)
    assert kinds(edges) == ["started", "paused", "ended"]


def test_an_onset_margin_counts_for_the_first_sound_only() -> None:
    def edges(script: str, margin: float) -> list[str]:
        eager = rule(min_speech_ms=32)
        eager.onset_margin = margin
        return kinds(feed(Endpointer(eager), script))

    assert edges("..-", margin=0.2) == ["started"]
    assert edges("..-", margin=0.0) == []
    paused = "x" + "." * 8
    assert edges(paused + "-" * 8, margin=0.2) == ["started", "paused", "ended"]
    assert edges(paused + "x", margin=0.2) == ["started", "paused", "resumed"]


def test_a_dip_above_the_lower_threshold_does_not_pause() -> None:
    assert kinds(feed(Endpointer(rule()), "xxxxx" + "-" * 20 + "x")) == ["started"]


def test_the_end_falls_at_once_when_the_silence_asked_for_shrinks() -> None:
    endpointer = Endpointer(rule(end_silence_ms=2_000))
    assert kinds(feed(endpointer, "xxxxx" + "." * 20)) == ["started", "paused"]
    endpointer.rule.end_silence_ms = 500
    assert kinds(feed(endpointer, ".")) == ["ended"]


def test_an_end_sooner_than_the_eager_silence_still_pauses_first() -> None:
    edges = feed(Endpointer(rule(end_silence_ms=100)), "xxxxx" + "." * 4)
    assert kinds(edges) == ["started", "paused", "ended"]


def test_an_endless_utterance_is_ended_at_the_limit() -> None:
    edges = feed(Endpointer(rule(max_utterance_ms=320)), "x" * 25)
    assert kinds(edges) == ["started", "ended", "started", "ended", "started"]


def test_edges_are_in_order_for_any_audio() -> None:
    order = {"started": {None, "ended"}, "paused": {"started", "resumed"},
             "resumed": {"paused"}, "ended": {"started", "paused", "resumed"}}  # fmt: skip
    for seed in range(200):
        rng = random.Random(seed)
        endpointer = Endpointer(rule(end_silence_ms=rng.choice([50, 200, 500, 1200])))
        previous, sample = None, 0
        for _ in range(300):
            for edge in endpointer.feed(rng.random() ** 2 if rng.random() < 0.5 else 0.9):
                assert previous in order[edge.kind.value], seed
                assert edge.sample >= sample or edge.kind is SpeechEdge.ENDED
                previous, sample = edge.kind.value, edge.sample


def test_an_utterance_with_gaps_is_cut_at_its_longest_too() -> None:
    edges = feed(Endpointer(rule(max_utterance_ms=640)), ("x" * 7 + ".") * 4)
    assert kinds(edges) == ["started", "ended", "started"]
