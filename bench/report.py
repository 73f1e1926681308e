"""Pure: the outcome of a measurement as text and as JSON."""

from typing import Any

from antiphon.spoken_turn import SpokenTurn
from antiphon.turn_report import timings
from bench.clips import Clip
from bench.statistics import percentile, word_error_rate

PERCENTS = (50, 95)


class Outcome:
    """What the sessions brought."""

    def __init__(self, sessions: int) -> None:
        self.sessions = sessions
        self.turns: list[tuple[Clip, SpokenTurn]] = []
        self.failures: list[str] = []
        self.skipped = 0
        """Turns not begun because time was up."""
        self.jitter_ms: list[float] = []
        self.gaps_ms: list[list[float]] = []
        """Of each reply of which there was audio, also of those that were taken back."""


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return every figure; times in milliseconds after the end of speech."""
    waits = [turn.mouth_to_ear_ms for _, turn in outcome.turns if turn.mouth_to_ear_ms is not None]
    return {
        "sessions": outcome.sessions,
        "turns": len(outcome.turns),
        "failures": outcome.failures,
        "skipped": outcome.skipped,
        "cut_ins": sum(turn.cut_ins > 0 for _, turn in outcome.turns),
        "mouth_to_ear_ms": {**_percentiles(waits), "all": [round(wait) for wait in waits]},
        "steps_ms": {name: _percentiles(values) for name, values in _steps(outcome).items()},
        "parts_ms": {name: _percentiles(values) for name, values in _parts(outcome).items()},
        "gaps": _gaps(outcome),
        "wer": word_error_rate((clip.transcript, turn.transcript) for clip, turn in outcome.turns),
        "jitter_ms": {
            **_percentiles(outcome.jitter_ms, (50, 99)),
            "max": max(outcome.jitter_ms, default=None),
        },
    }


def as_text(outcome: Outcome) -> str:
    """Return the figures as a page of text."""
    figures = as_json(outcome)
    lines = [
        f"{figures['turns']} turns in {outcome.sessions} session(s), "
        f"{len(outcome.failures)} without a reply, {outcome.skipped} not begun, "
        f"{figures['cut_ins']} answered before the end of speech",
        *(f"  {failure}" for failure in outcome.failures),
        "",
        f"  {'':<42} {'p50':>8} {'p95':>8}",
        _row("end of speech to first sound", figures["mouth_to_ear_ms"]),
        "",
        "  parts of the wait",
        *(_row(f"  {name}", part) for name, part in figures["parts_ms"].items()),
        "",
        "  the server's steps, from the end of speech as it saw it",
        *(_row(f"  {name}", step) for name, step in figures["steps_ms"].items()),
        "",
        _gap_line(figures["gaps"]),
        f"  word error rate {_percent(figures['wer'])}",
        "  timer overshoot beside it: "
        + ", ".join(f"{name} {_ms(value, 2)}" for name, value in figures["jitter_ms"].items()),
    ]
    return "\n".join(lines)


def _gaps(outcome: Outcome) -> dict[str, float | None]:
    gaps = [gap for reply in outcome.gaps_ms for gap in reply]
    return {
        "replies": len(outcome.gaps_ms),
        "with_gaps": sum(bool(reply) for reply in outcome.gaps_ms),
        "p95_ms": percentile(gaps, 95),
        "longest_ms": max(gaps, default=None),
    }


def _gap_line(gaps: dict[str, float | None]) -> str:
    lengths = f": p95 {_ms(gaps['p95_ms'])}, longest {_ms(gaps['longest_ms'])}"
    found = lengths if gaps["with_gaps"] else ""
    return f"  gaps in {gaps['with_gaps']} of {gaps['replies']} replies{found}"


def _row(name: str, values: dict[str, float | None]) -> str:
    return f"  {name:<42} {_ms(values['p50']):>8} {_ms(values['p95']):>8}"


def _ms(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f} ms"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _percentiles(
    values: list[float], percents: tuple[int, ...] = PERCENTS
) -> dict[str, float | None]:
    return {f"p{percent}": percentile(values, percent) for percent in percents}


def _steps(outcome: Outcome) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for _, turn in outcome.turns:
        for name, at_ms in turn.reply.steps_ms.items():
            found.setdefault(name, []).append(at_ms)
    return found


def _parts(outcome: Outcome) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for _, turn in outcome.turns:
        for part in timings(turn):
            found.setdefault(part.name, []).append(part.part_ms)
    return found
