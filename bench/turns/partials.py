"""Pure: how early and how steadily the words of partial transcripts appear."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jiwer

from antiphon import events
from bench.statistics import normalised, percentile, word_error_rate
from bench.turns.figures import Figure, Goal, times
from bench.turns.record import Record, field

PARTIAL = "antiphon.transcript.partial"
_LONGEST_WORD_S = 1.0
"""A word is not looked for in a text from longer before its end."""


class Partial(NamedTuple):
    """What was shown at one time, of everything said so far."""

    at_s: float
    stable: tuple[str, ...]
    shown: tuple[str, ...]
    """Stable words and those that may change."""


class Steadiness(NamedTuple):
    """Words shown and what became of them."""

    words: int
    """Of the last text."""
    rewritten: int
    """Words that a later partial changed or took away."""
    stable_changed: int
    """Those among them that were called stable; must be none."""


def shown_texts(log: Iterable[tuple[float, events.Event]]) -> list[Partial]:
    """Return what was shown after each partial and each final transcript."""
    stable: dict[str, tuple[str, ...]] = {}
    shown: dict[str, tuple[str, ...]] = {}
    found: list[Partial] = []
    for at_s, event in log:
        if event.type == PARTIAL:
            item_id = str(field(event, "item_id"))
            stable[item_id] = tuple(str(field(event, "stable") or "").split())
            shown[item_id] = stable[item_id] + tuple(str(field(event, "unstable") or "").split())
        elif isinstance(event, events.TranscriptCompleted):
            stable[event.item_id] = shown[event.item_id] = tuple(event.transcript.split())
        elif isinstance(event, events.ItemDeleted):
            stable.pop(event.item_id, None)
            shown.pop(event.item_id, None)
        else:
            continue
        words = [word for text in shown.values() for word in text]
        firm = [word for text in stable.values() for word in text]
        found.append(Partial(at_s, tuple(firm), tuple(words)))
    return found


def steadiness(log: Iterable[tuple[float, events.Event]]) -> Steadiness:
    """Return how many words of partial transcripts changed afterwards, by item."""
    last: dict[str, Partial] = {}
    rewritten = stable_changed = 0
    for at_s, event in log:
        if event.type != PARTIAL:
            continue
        item_id = str(field(event, "item_id"))
        firm = tuple(str(field(event, "stable") or "").split())
        now = Partial(at_s, firm, firm + tuple(str(field(event, "unstable") or "").split()))
        if (before := last.get(item_id)) is not None:
            rewritten += _lost(before.shown, now.shown)
            stable_changed += sum(
                index >= len(firm) or word != firm[index]
                for index, word in enumerate(before.stable)
            )
        last[item_id] = now
    return Steadiness(sum(len(p.shown) for p in last.values()), rewritten, stable_changed)


def delays_ms(
    texts: Sequence[Partial], words: Sequence[tuple[float, str]], *, stable: bool
) -> list[float]:
    """Return how long after its end each word was shown, or shown as stable.

    `words` are the words said, with the time of their end in seconds. A word counts as shown from
    the first text on in which it stands at its place; words never understood are left out.
    """
    shown_s: dict[int, float] = {}
    for text in texts:
        said = [word for end_s, word in words if end_s - _LONGEST_WORD_S <= text.at_s]
        for index in _found(said, text.stable if stable else text.shown):
            shown_s.setdefault(index, text.at_s)
    return [(at_s - words[index][0]) * 1000 for index, at_s in sorted(shown_s.items())]


def _lost(before: Sequence[str], now: Sequence[str]) -> int:
    """Return how many words of a text are not at their place in the next one."""
    return len(before) - len(_found(before, now))


def _found(words: Sequence[str], text: Sequence[str]) -> list[int]:
    """Return the places of the words that a text holds, by the alignment of least edits."""
    if not words or not text:
        return []
    reference, hypothesis = ([normalised(word) or "-" for word in side] for side in (words, text))
    joined = [[word.replace(" ", "-") for word in side] for side in (reference, hypothesis)]
    output = jiwer.process_words(" ".join(joined[0]), " ".join(joined[1]))
    return [
        place
        for chunk in output.alignments[0]
        if chunk.type == "equal"
        for place in range(chunk.ref_start_idx, chunk.ref_end_idx)
    ]


def first_partial_ms(record: Record) -> float | None:
    """Return when the first words were shown, after the onset of the speech."""
    for text in shown_texts(record.log):
        if text.shown:
            return (text.at_s - record.speech_start_s) * 1000
    return None


def judge(records: Sequence[Record]) -> list[Figure]:
    """Return the figures of the scenarios partials and long."""
    said = 0
    shown_ms: list[float] = []
    stable_ms: list[float] = []
    for record in records:
        if record.trial.sound is None or record.began_s is None:
            continue
        began_s = record.began_s
        words = [(began_s + word.end_ms / 1000, word.text) for word in record.trial.sound.words]
        texts = shown_texts(record.log)
        said += len(words)
        shown_ms += delays_ms(texts, words, stable=False)
        stable_ms += delays_ms(texts, words, stable=True)
    steady = [steadiness(record.log) for record in records]
    count = sum(part.words for part in steady)
    rewritten = sum(part.rewritten for part in steady)
    changed = sum(part.stable_changed for part in steady)
    wer = word_error_rate(
        (r.trial.sound.transcript, r.understood) for r in records if r.trial.sound is not None
    )
    return [
        *times("first partial", [f for r in records if (f := first_partial_ms(r)) is not None]),
        *times("end of a word to shown", shown_ms),
        *times("end of a word to stable", stable_ms),
        Figure("words shown", 100 * len(shown_ms) / said if said else None, "%", said),
        Figure("rewritten words a word", rewritten / count if count else None, "", count),
        Figure(
            "stable words changed", float(changed) if count else None, "words", count, Goal(0.0)
        ),
        Figure("word error rate", None if wer is None else 100 * wer, "%", len(records)),
    ]


def outcome(record: Record) -> dict[str, object]:
    """Return one trial for programs and for its line of progress."""
    return {
        "first_partial_ms": first_partial_ms(record),
        **steadiness(record.log)._asdict(),
        "understood": record.understood,
    }


def judge_memory(records: Sequence[Record]) -> list[Figure]:
    """Return by how much the speech recognition grew while it listened to each monologue."""
    grown = [max(r.memory_mib) - r.memory_mib[0] for r in records if r.memory_mib]
    most = [max(r.memory_mib) for r in records if r.memory_mib]
    return [
        Figure("memory of the speech recognition", percentile(most, 100), "MiB", len(most)),
        Figure("its growth in a monologue", percentile(grown, 100), "MiB", len(grown)),
    ]
