"""Pure: how long a turn took, part by part; the parts sum to the total."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

LAST_STEP = "audio_sent"
"""The server's step that the reply waited for; what it finishes later delayed nobody."""

SEEN_LATER = "end of speech, as the server saw it"
ON_THE_WAY = "not seen by the server"
QUIET_START = "quiet start of the reply"
TOTAL = "mouth to ear"
HEADING = "after the end of speech"

_LABELS = {
    "pause_seen": "pause seen",
    "transcript": "transcript",
    "model_first_text": "model's first text",
    "first_clause": "first clause",
    "first_audio": "first audio made",
    "endpoint": "end of turn decided",
    "audio_sent": "audio sent",
    "capture_uplink": "capture and way up",
    "endpoint_wait": "waiting for the end of the turn",
    "stt": "transcript",
    "llm_first_text": "model's first text",
    "llm_first_clause": "first clause",
    "tts_first_audio": "first audio made",
    "hold": "audio held until the turn's end",
    "downlink": "way down",
    "jitter_buffer": "jitter buffer",
    "playout": "playout",
}


class Part(NamedTuple):
    """One part of the wait."""

    name: str
    part_ms: int
    at_ms: int
    """When it ended, from the end of the speech."""


def parts(
    steps_ms: Mapping[str, float], first_sample_ms: float, mouth_to_ear_ms: float
) -> list[Part]:
    """Return the consecutive parts of the wait, from the end of the speech to the first sound.

    `steps_ms`: the server's steps, counted from the end of the speech as the server saw it. The
    part `not seen by the server` holds what that leaves out: both ways through the network,
    and the difference between the two ends of speech. It can be negative.
    """
    last_ms = steps_ms.get(LAST_STEP)
    kept = [
        (at_ms, name) for name, at_ms in steps_ms.items() if last_ms is None or at_ms <= last_ms
    ]
    kept.sort(key=lambda step: (step[0], step[1] == LAST_STEP))
    ends = [(label(name), at_ms) for at_ms, name in kept]
    ends += [(ON_THE_WAY, first_sample_ms), (QUIET_START, mouth_to_ear_ms)]
    result: list[Part] = []
    before_ms = 0
    for name, at in ends:
        at_ms = round(at)
        result.append(Part(name, at_ms - before_ms, at_ms))
        before_ms = at_ms
    return result


def whole_parts(
    parts_ms: Mapping[str, float],
    seen_ms: float,
    first_sample_ms: float,
    mouth_to_ear_ms: float,
) -> list[Part]:
    """Return the parts of a wait that the server knows from mouth to ear.

    `parts_ms` sum to `seen_ms`, the wait from the end of speech as the server saw it to the first
    sample. The first part is the difference between the two ends of speech; it can be negative.
    """
    lengths = [(SEEN_LATER, first_sample_ms - seen_ms)]
    lengths += [(label(name), part_ms) for name, part_ms in parts_ms.items()]
    lengths.append((QUIET_START, mouth_to_ear_ms - first_sample_ms))
    result: list[Part] = []
    before_ms, exact_ms = 0, 0.0
    for name, part_ms in lengths:
        exact_ms += part_ms
        at_ms = round(exact_ms)
        result.append(Part(name, at_ms - before_ms, at_ms))
        before_ms = at_ms
    return result


def label(step: str) -> str:
    """Return a step's name as people read it."""
    return _LABELS.get(step, step.replace("_", " "))


def table(rows: Iterable[Part]) -> str:
    """Return the parts as lines of text, the total last."""
    rows = list(rows)
    width = max(len(text) for text in [HEADING, TOTAL, *(row.name for row in rows)]) + 2
    lines = [f"  {HEADING:<{width}} {'part':>9} {'at':>9}"]
    lines += [f"  {row.name:<{width}} {row.part_ms:>6} ms {row.at_ms:>6} ms" for row in rows]
    total_ms = sum(row.part_ms for row in rows)
    lines.append(f"  {TOTAL:<{width}} {total_ms:>6} ms")
    return "\n".join(lines)
