"""Pure: a spoken turn as text for people and as JSON for programs."""

import json
from typing import Any

from antiphon.spoken_turn import SpokenTurn
from antiphon.timing_table import Part, parts, table, whole_parts


def timings(turn: SpokenTurn) -> list[Part]:
    """Return the parts of the wait; none when recording or reply are silent."""
    if turn.first_sample_ms is None or turn.mouth_to_ear_ms is None:
        return []
    wait = turn.reply.wait
    if wait is not None and wait.mouth_to_ear_ms is not None:
        return whole_parts(
            wait.parts_ms, wait.mouth_to_ear_ms, turn.first_sample_ms, turn.mouth_to_ear_ms
        )
    return parts(turn.reply.steps_ms, turn.first_sample_ms, turn.mouth_to_ear_ms)


def as_text(turn: SpokenTurn) -> str:
    """Return what was said and the table of timings."""
    lines = [
        turn.recording.name,
        f"  you    {turn.transcript or '(no transcript)'}",
        f"  reply  {turn.reply.text.strip()}  ({turn.reply.audio_ms / 1000:.1f} s of audio)",
    ]
    if turn.reply.sources:
        lines.append(f"  from   {turn.reply.sources}")
    if turn.cut_ins:
        lines.append(f"  {turn.cut_ins} earlier response(s) were begun before the speech had ended")
    rows = timings(turn)
    lines.append(table(rows) if rows else "  no timings: the recording or the reply is silent")
    return "\n".join(lines) + "\n"


def as_json(turn: SpokenTurn) -> str:
    """Return the turn as one line of JSON; times in milliseconds after the end of the speech."""
    reply = turn.reply
    document: dict[str, Any] = {
        "file": turn.recording.name,
        "transcript": turn.transcript,
        "reply": reply.text.strip(),
        "sources": reply.sources,
        "status": reply.result.status if reply.result else None,
        "reply_audio_ms": round(reply.audio_ms),
        "sample_rate_hz": reply.sample_rate_hz,
        "speech_end_ms": _rounded(turn.recording.speech_end_ms),
        "first_sample_ms": _rounded(turn.first_sample_ms),
        "mouth_to_ear_ms": _rounded(turn.mouth_to_ear_ms),
        "cut_ins": turn.cut_ins,
        "steps_ms": reply.steps_ms,
        "server_parts_ms": reply.wait.parts_ms if reply.wait else None,
        "parts": [{"name": part.name, "part_ms": part.part_ms} for part in timings(turn)],
    }
    return json.dumps(document)


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)
