"""Runs scenarios one trial at a time and has them judged."""

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from antiphon.server_address import ConnectionFailed
from antiphon_proto.errors import AntiphonError
from bench.jitter import JitterProbe
from bench.turns import judge_interruptions, judge_retractions, judge_turns, partials
from bench.turns.conversation import hold
from bench.turns.figures import Figure
from bench.turns.heard import HistoryError, history_error
from bench.turns.listener import pcm_of, played_ms
from bench.turns.plans import Trial
from bench.turns.record import Record
from bench.turns.report import Outcome, ScenarioOutcome
from bench.turns.word_timer import WordTimer

ATTEMPTS = 2
"""A trial whose reply ended before the sound began is held once more."""


class Script(NamedTuple):
    """What to run."""

    seed: int
    trials: dict[str, list[Trial]]
    """By scenario."""


async def run(url: str, script: Script, limit_s: float, timer: WordTimer | None) -> Outcome:
    """Hold every trial; none begins after `limit_s`. A scenario ends when the server is gone.

    `timer` finds the words of interrupted replies; without one, history is not judged.
    """
    deadline_s = time.monotonic() + limit_s
    probe = JitterProbe()
    held: dict[str, tuple[list[Record], list[str], float]] = {}
    async with asyncio.TaskGroup() as group:
        probing = group.create_task(probe.run(), name="jitter")
        try:
            for scenario, trials in script.trials.items():
                began_s = time.monotonic()
                records, failures = await _hold_all(url, trials, deadline_s)
                held[scenario] = records, failures, time.monotonic() - began_s
        finally:
            probing.cancel()
    outcomes = [
        _judged(scenario, records, failures, len(script.trials[scenario]), seconds, timer)
        for scenario, (records, failures, seconds) in held.items()
    ]
    return Outcome([script.seed], outcomes, probe.overshoots_ms)


async def _hold_all(
    url: str, trials: Sequence[Trial], deadline_s: float
) -> tuple[list[Record], list[str]]:
    records: list[Record] = []
    failures: list[str] = []
    for trial in trials:
        if time.monotonic() >= deadline_s:
            break
        try:
            record = await _held(url, trial)
        except AntiphonError as exc:
            failures.append(f"{trial.name}: {exc}")
            if isinstance(exc, ConnectionFailed):
                break
            continue
        if problem := _unusable(record):
            failures.append(f"{trial.name}: {problem}")
            continue
        records.append(record)
        print(f"  {trial.scenario}: {trial.name}: {_line(record)}", file=sys.stderr, flush=True)
    return records, failures


async def _held(url: str, trial: Trial) -> Record:
    for attempt in range(ATTEMPTS):
        record = await hold(url, trial._replace(topic=trial.topic + attempt))
        if not _unusable(record):
            break
    return record


def _unusable(record: Record) -> str:
    """Return why a record says nothing about its scenario; empty when it does."""
    if record.failure or record.began_s is None:
        return record.failure or "the sound was not sent"
    if record.trial.over_reply and judge_interruptions.interrupted_reply(record) is None:
        return "the reply had ended before the sound began"
    return ""


def _judged(
    scenario: str,
    records: Sequence[Record],
    failures: Sequence[str],
    planned: int,
    seconds: float,
    timer: WordTimer | None,
) -> ScenarioOutcome:
    histories = _histories(records, timer) if scenario == "barge-in" else {}
    trials = [{"name": r.trial.name, **_outcome(r, histories.get(id(r)))} for r in records]
    skipped = planned - len(records) - len(failures)
    figures = _figures(scenario, records, histories)
    return ScenarioOutcome(scenario, figures, trials, failures, skipped, seconds)


def _figures(
    scenario: str, records: Sequence[Record], histories: dict[int, HistoryError]
) -> list[Figure]:
    match scenario:
        case "question" | "hesitation" | "natural":
            figures = judge_turns.judge(records, natural=scenario == "natural")
            return figures + judge_retractions.judge(records)
        case "barge-in":
            return judge_interruptions.judge_barge_ins(records, histories)
        case "long":
            return partials.judge(records) + partials.judge_memory(records)
        case "partials":
            return partials.judge(records)
        case _:
            return judge_interruptions.judge_false(records)


def _histories(records: Sequence[Record], timer: WordTimer | None) -> dict[int, HistoryError]:
    """Compare what was kept of each interrupted reply with what was heard of it."""
    found: dict[int, HistoryError] = {}
    for record in records:
        reply = judge_interruptions.interrupted_reply(record)
        item_id = record.item_of(reply.response_id) if reply else None
        if timer is None or reply is None or item_id is None or item_id not in record.kept:
            continue
        pieces = record.listener.pieces
        words = timer.words(record.said(reply.response_id), *pcm_of(pieces, item_id))
        heard_ms = played_ms(pieces, item_id)
        found[id(record)] = history_error(record.kept[item_id], words, heard_ms)
    return found


def _outcome(record: Record, history: HistoryError | None = None) -> dict[str, object]:
    """Return one trial for programs."""
    errors = {"errors": [error.type for error in record.errors]} if record.errors else {}
    if record.trial.scenario in ("long", "partials"):
        return partials.outcome(record) | errors
    if record.trial.over_reply or not record.trial.asks:
        compared = {"history": history._asdict()} if history else {}
        return judge_interruptions.outcome(record) | compared | errors
    return judge_turns.outcome(record) | judge_retractions.outcome(record) | errors


def _line(record: Record) -> str:
    shown = {name: value for name, value in _outcome(record).items() if value not in (None, False)}
    return ", ".join(
        f"{name} {value:.0f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in shown.items()
    )
