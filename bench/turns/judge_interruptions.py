"""Pure: what barge-ins, backchannels, coughs, noises and echoes show about interruptions."""

import itertools
import math
from collections.abc import Mapping, Sequence

from bench.reply_gaps import gaps_ms
from bench.statistics import word_error_rate
from bench.turns.figures import Figure, Goal, rate, times
from bench.turns.heard import HistoryError
from bench.turns.judge_turns import gap_ms
from bench.turns.record import Record, ResponseSeen

DUCK_MS = 60.0
SILENCE_MS = 250.0
FALSE_RATE = Goal(at_most=5)
NO_WORDS = Goal(at_most=0)
EXACT_RATE = Goal(at_least=95)
STOPPED_RATE = Goal(at_least=95)
"""What a 95th percentile of the wait for silence takes."""


def interrupted_reply(record: Record) -> ResponseSeen | None:
    """Return the reply that could be heard when the sound began; None when none could."""
    at_s = record.speech_start_s
    for reply in record.responses:
        if reply.audible_s is None or reply.silent_s is None or reply.audible_s > at_s:
            continue
        if reply.silent_s > at_s:
            return reply
    return None


def stopped_s(record: Record, reply: ResponseSeen) -> float | None:
    """Return when a reply was cancelled or cut off in the middle; None: it was not."""
    item_id = record.item_of(reply.response_id)
    cuts = [flush.at_s for flush in record.listener.flushes if flush.item_id == item_id]
    return min(cuts + record.cancelled_s(reply.response_id), default=None)


def killed(record: Record) -> bool:
    """Tell whether a reply was stopped after the sound had begun."""
    assert record.began_s is not None
    return any(
        stopped_s(record, reply) is not None
        for reply in record.responses
        if reply.silent_s is not None and reply.silent_s >= record.began_s
    )


def silence_ms(record: Record) -> float | None:
    """Return how long after its onset the reply was silent for good; None: it went on."""
    reply = interrupted_reply(record)
    silent_s = silent_for_good_s(record, reply) if reply else None
    return None if silent_s is None else (silent_s - record.speech_start_s) * 1000


def silent_for_good_s(record: Record, reply: ResponseSeen) -> float | None:
    """Return when a reply that was stopped was silent; None: it was not stopped, or never heard.

    A reply that was paused first is silent from then on; one whose audio had run out from when it
    was cancelled on.
    """
    at_s = stopped_s(record, reply)
    if reply.silent_s is None or at_s is None:
        return None
    item_id = record.item_of(reply.response_id)
    cuts = [flush.silent_s for flush in record.listener.flushes if flush.item_id == item_id]
    return min(cuts) if cuts else max(at_s, reply.silent_s)


def decision_ms(record: Record) -> float | None:
    """Return how long after its onset the reply was stopped for good; None: it went on."""
    reply = interrupted_reply(record)
    at_s = stopped_s(record, reply) if reply else None
    return None if at_s is None else (at_s - record.speech_start_s) * 1000


def duck_ms(record: Record) -> float | None:
    """Return how long after its onset the reply was made quieter; None: it was not."""
    down = [at_s for at_s, ducked in record.ducks if ducked]
    return (down[0] - record.speech_start_s) * 1000 if down else None


def ducked_ms(record: Record) -> float:
    """Return for how long the reply was quieter, until it was loud again."""
    ended_s = max((at_s for at_s, _ in record.log), default=0.0)
    edges = [*record.ducks, (ended_s, False)]
    return sum((b - a) * 1000 for (a, ducked), (b, _) in itertools.pairwise(edges) if ducked)


def words_taken(record: Record) -> int:
    """Return how many words the server took from the sound."""
    return len(record.understood.split())


def judge_barge_ins(
    records: Sequence[Record], histories: Mapping[int, HistoryError]
) -> list[Figure]:
    """Return the figures; `histories` has the histories that could be compared, by record."""
    during = [record for record in records if interrupted_reply(record) is not None]
    stopped = [_wait_ms(silence_ms(record)) for record in during]
    ducked = [min(_wait_ms(duck_ms(record)), _wait_ms(silence_ms(record))) for record in during]
    decided = [_wait_ms(decision_ms(record)) for record in during]
    errors = [histories[id(record)] for record in during if id(record) in histories]
    wer = word_error_rate(
        (r.trial.sound.transcript, r.understood) for r in during if r.trial.sound is not None
    )
    return [
        *times("onset to duck", ducked, None, DUCK_MS),
        *times("onset to silence", stopped, None, SILENCE_MS),
        *times("onset to decision", decided),
        rate("stopped", [silence_ms(record) is not None for record in during], STOPPED_RATE),
        rate("heard history exact", [e.error == 0 for e in errors], EXACT_RATE),
        rate("heard history exact, doubtful words decided", [e.strict == 0 for e in errors]),
        Figure(
            "heard history, most words off",
            float(max(abs(e.error) for e in errors)) if errors else None,
            "words",
            len(errors),
            Goal(at_most=1),
        ),
        rate("next turn answered", [gap_ms(record) is not None for record in during]),
        *times("gap after it", [gap for r in during if (gap := gap_ms(r)) is not None]),
        Figure("word error rate", None if wer is None else 100 * wer, "%", len(during)),
    ]


def _wait_ms(found_ms: float | None) -> float:
    return math.inf if found_ms is None else found_ms


def judge_false(records: Sequence[Record]) -> list[Figure]:
    """Return the figures of sounds that ask for nothing: backchannels, coughs, noises, echoes."""
    over = [r for r in records if r.trial.over_reply and interrupted_reply(r) is not None]
    alone = [record for record in records if not record.trial.over_reply]
    figures: list[Figure] = []
    if over:
        ducks = [duck_ms(record) is not None for record in over]
        figures += [
            rate("reply killed", [killed(record) for record in over], FALSE_RATE),
            rate("new turn over a reply", [bool(r.turns) for r in over], FALSE_RATE),
            rate("reply ducked", ducks),
            *times("ducked for", [ducked_ms(r) for r in over if r.ducks and not killed(r)]),
            rate("reply without gaps", [not _stalls(r) for r in over if not killed(r)]),
        ]
    if alone:
        turns = [bool(r.turns) or bool(r.responses) for r in alone]
        figures.append(rate("false turn in silence", turns, FALSE_RATE))
    words = float(sum(words_taken(record) for record in records)) if records else None
    figures.append(Figure("words taken for speech", words, "words", len(records), NO_WORDS))
    return figures


def _stalls(record: Record) -> list[float]:
    reply = interrupted_reply(record)
    item_id = record.item_of(reply.response_id) if reply else None
    return gaps_ms(record.listener.arrivals[item_id]) if item_id else []


def outcome(record: Record) -> dict[str, object]:
    """Return one trial for programs and for its line of progress."""
    over = record.trial.over_reply
    return {
        "over_reply": over and interrupted_reply(record) is not None,
        "killed": over and killed(record),
        "silence_ms": silence_ms(record),
        "duck_ms": duck_ms(record),
        "turns": len(record.turns),
        "understood": record.understood,
    }
