"""Pure: what questions, hesitations and natural pauses show about the end of the turn."""

import enum
import math
from collections.abc import Sequence

import numpy as np

from bench.statistics import word_error_rate
from bench.turns.figures import Figure, Goal, rate, times
from bench.turns.record import Record, ResponseSeen


class CutIn(enum.Enum):
    """Whether the server spoke before the user had ended."""

    NONE = "none"
    RETRACTED = "retracted"
    """It stopped, took back the turn, and answered all of it as one."""
    FULL = "full"


def cut_in(record: Record) -> CutIn:
    """Tell whether a reply was audible before the end of the speech, and what became of it."""
    if not early_replies(record):
        return CutIn.NONE
    taken_back = any(item.deleted for item in record.user_items)
    stopped = all(reply.status == "cancelled" for reply in early_replies(record))
    if taken_back and stopped and len(record.turns) == 1:
        return CutIn.RETRACTED
    return CutIn.FULL


def ended_early(record: Record) -> bool:
    """Tell whether a turn was committed before the end of the speech.

    A slow machine hides cut-ins behind the time that an answer takes; not these.
    """
    return any(item.committed_s < record.speech_end_s for item in record.user_items)


def early_replies(record: Record) -> list[ResponseSeen]:
    """Return the replies that were audible before the end of the speech."""
    end_s = record.speech_end_s
    return [r for r in record.responses if r.audible_s is not None and r.audible_s < end_s]


def gap_ms(record: Record) -> float | None:
    """Return the silence between the speech and its answer; None when there was none."""
    end_s = record.speech_end_s
    audible = [r.audible_s for r in record.responses if r.audible_s is not None]
    return min(((at - end_s) * 1000 for at in audible if at >= end_s), default=None)


def endpoint_wait_ms(record: Record) -> float | None:
    """Return how long after the end of the speech its turn was committed."""
    turns = record.turns
    return (turns[-1].committed_s - record.speech_end_s) * 1000 if turns else None


def judge(records: Sequence[Record], *, natural: bool = False) -> list[Figure]:
    """Return the figures of the scenarios question, hesitation and natural."""
    cuts = [cut_in(record) for record in records]
    whole = [r for r, cut in zip(records, cuts, strict=True) if cut is not CutIn.FULL]
    gaps = [math.inf if (gap := gap_ms(record)) is None else gap for record in whole]
    waits = [wait for record in whole if (wait := endpoint_wait_ms(record)) is not None]
    full = [cut is CutIn.FULL for cut in cuts]
    cut = [cut is not CutIn.NONE for cut in cuts]
    wer = word_error_rate(
        (record.trial.sound.transcript, record.understood)
        for record in records
        if record.trial.sound is not None
    )
    return [
        rate("cut-in, full", full, None if natural else Goal(at_most=5)),
        rate("cut-in, with retracted", cut, Goal(at_most=10 if natural else 8)),
        *times("gap", gaps, *((None, None) if natural else (350.0, 600.0))),
        Figure(
            "mean wait for the end of the turn",
            float(np.mean(waits)) if waits else None,
            "ms",
            len(waits),
            Goal(at_most=450) if natural else None,
        ),
        rate("turn ended early, heard or not", [ended_early(record) for record in records]),
        rate("kept as one turn", [len(record.turns) == 1 for record in records]),
        rate("answered", [gap_ms(record) is not None for record in records]),
        Figure("word error rate", None if wer is None else 100 * wer, "%", len(records)),
    ]


def outcome(record: Record) -> dict[str, object]:
    """Return one trial for programs and for its line of progress."""
    return {
        "cut_in": cut_in(record).value,
        "gap_ms": gap_ms(record),
        "endpoint_wait_ms": endpoint_wait_ms(record),
        "turns": len(record.turns),
        "understood": record.understood,
    }
