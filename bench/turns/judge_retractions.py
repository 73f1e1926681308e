"""Pure: how soon an answer that came too early is silent when the user goes on."""

from collections.abc import Sequence

from bench.turns.figures import Figure, times
from bench.turns.judge_interruptions import silent_for_good_s
from bench.turns.judge_turns import CutIn, cut_in, early_replies
from bench.turns.record import Record, ResponseSeen
from bench.turns.sound import pauses

SILENCE_MS = 100.0


def silences_ms(record: Record) -> list[float]:
    """Return how long after the user went on each reply that was taken back was silent."""
    if cut_in(record) is not CutIn.RETRACTED:
        return []
    found = []
    for reply in early_replies(record):
        on_s, silent_s = goes_on_s(record, reply), silent_for_good_s(record, reply)
        if on_s is not None and silent_s is not None:
            found.append((silent_s - on_s) * 1000)
    return found


def goes_on_s(record: Record, reply: ResponseSeen) -> float | None:
    """Return when the pause ended that a reply was the answer to; None when none is found.

    It is the last one that began before the turn was committed.
    """
    assert record.began_s is not None
    assert record.trial.sound is not None
    assert reply.audible_s is not None
    committed = [item.committed_s for item in record.user_items if item.deleted]
    until_s = max((at_s for at_s in committed if at_s <= reply.audible_s), default=0.0)
    ends = [
        record.began_s + end_ms / 1000
        for start_ms, end_ms in pauses(record.trial.sound)
        if record.began_s + start_ms / 1000 < until_s
    ]
    return max(ends, default=None)


def judge(records: Sequence[Record]) -> list[Figure]:
    """Return the figures of questions, hesitations and natural pauses."""
    silences = [silence for record in records for silence in silences_ms(record)]
    return times("going on to silence, retracted", silences, None, SILENCE_MS)


def outcome(record: Record) -> dict[str, object]:
    """Return one trial for programs and for its line of progress; nothing without a retraction."""
    silences = silences_ms(record)
    return {"retracted_silence_ms": [round(each) for each in silences]} if silences else {}
