"""When each step of one turn happened, counted from the end of the user's speech."""

import dataclasses

STEPS = (
    "pause_seen",
    "transcript",
    "model_first_text",
    "first_clause",
    "first_audio",
    "endpoint",
    "audio_sent",
)
"""In the order they usually happen; with speculation `endpoint` may be the last but one."""

_RESPONSE_STEPS = ("model_first_text", "first_clause", "first_audio")


@dataclasses.dataclass(slots=True)
class TurnTimings:
    """Wall-clock times of one turn in milliseconds; the first time a step is marked counts."""

    turn_id: int
    speech_end_ms: float
    marks_ms: dict[str, float] = dataclasses.field(default_factory=dict)

    def mark(self, step: str, now_ms: float) -> None:
        """Note that `step` of `STEPS` has happened."""
        self.marks_ms.setdefault(step, now_ms)

    def begin_response(self) -> None:
        """Drop the steps of a response that was prepared and is void."""
        for step in _RESPONSE_STEPS:
            self.marks_ms.pop(step, None)

    def offsets_ms(self) -> dict[str, float]:
        """Return the steps that happened as offsets from the end of speech."""
        return {
            step: round(self.marks_ms[step] - self.speech_end_ms)
            for step in STEPS
            if step in self.marks_ms
        }
