"""When each step of one turn happened, and where the time from mouth to ear went. Pure."""

import dataclasses
from typing import NamedTuple

from antiphon_gateway.capture_clock import CaptureClock, Heard
from antiphon_proto.turn_steps import STEPS

_RESPONSE_STEPS = ("model_first_text", "first_clause", "first_audio")


class Played(NamedTuple):
    """What the client says of the first audio of a response, by the clock of its microphone."""

    received_ms: float
    started_ms: float
    """The first sample left the jitter buffer."""
    heard_ms: float
    """The first sample left the loudspeaker."""


class MouthToEar(NamedTuple):
    """The wait of one turn."""

    total_ms: float
    parts_ms: dict[str, float]


@dataclasses.dataclass(slots=True)
class TurnTimings:
    """Wall-clock times of one turn in milliseconds; the first time a step is marked counts."""

    turn_id: int
    speech_end_ms: float
    heard: Heard | None = None
    """The last sample of the speech; None when the client ended the turn itself."""
    marks_ms: dict[str, float] = dataclasses.field(default_factory=dict)
    asked_ms: float | None = None
    """When what the response was made of was known."""

    def mark(self, step: str, now_ms: float) -> None:
        """Note that `step` of `turn_steps.STEPS` has happened."""
        self.marks_ms.setdefault(step, now_ms)

    def begin_response(self) -> None:
        """A response is begun; drop the steps of one that was prepared and is void."""
        for step in _RESPONSE_STEPS:
            self.marks_ms.pop(step, None)
        self.asked_ms = max(self.marks_ms.values(), default=None)

    def offsets_ms(self) -> dict[str, float]:
        """Return the steps that happened as offsets from the end of speech."""
        return {
            step: round(self.marks_ms[step] - self.speech_end_ms)
            for step in STEPS
            if step in self.marks_ms
        }

    def parts_ms(self) -> dict[str, float]:
        """Return where the time went from the arrival of the last of the speech to the sending of
        the first audio.

        Each moment belongs to the one thing that the audio was waiting for then, so the parts sum
        to the whole. A step that ran beside another has no part of its own.
        """
        ends = [
            ("endpoint_wait", self.marks_ms.get("pause_seen")),
            ("stt", self._words_known_ms),
            ("endpoint_wait", self.asked_ms),
            ("llm_first_text", self.marks_ms.get("model_first_text")),
            ("llm_first_clause", self.marks_ms.get("first_clause")),
            ("tts_first_audio", self.marks_ms.get("first_audio")),
            ("hold", self.marks_ms.get("audio_sent")),
        ]
        parts = {name: 0.0 for name, _ in ends}
        sent_ms = self.marks_ms["audio_sent"]
        at_ms = self._began_ms
        for name, end_ms in ends:
            if end_ms is not None and at_ms < end_ms:
                reached_ms = min(end_ms, sent_ms)
                parts[name] += max(reached_ms - at_ms, 0.0)
                at_ms = max(reached_ms, at_ms)
        return {name: round(part_ms, 1) for name, part_ms in parts.items()}

    def mouth_to_ear(self, played: Played, clock: CaptureClock) -> MouthToEar | None:
        """Return the whole wait; None when the client's clock does not say when it began."""
        heard, sent_ms = self.heard, self.marks_ms.get("audio_sent")
        if heard is None or heard.captured_ms is None or sent_ms is None:
            return None
        offset_ms = clock.offset_ms(sent_ms, played.received_ms)
        parts = {
            "capture_uplink": heard.arrived_ms - heard.captured_ms - offset_ms,
            **self.parts_ms(),
            "downlink": played.received_ms + offset_ms - sent_ms,
            "jitter_buffer": played.started_ms - played.received_ms,
            "playout": played.heard_ms - played.started_ms,
        }
        total_ms = played.heard_ms - heard.captured_ms
        return MouthToEar(
            round(total_ms, 1), {name: round(part_ms, 1) for name, part_ms in parts.items()}
        )

    @property
    def _began_ms(self) -> float:
        return self.speech_end_ms if self.heard is None else self.heard.arrived_ms

    @property
    def _words_known_ms(self) -> float | None:
        known = [at for at in (self.marks_ms.get("transcript"), self.asked_ms) if at is not None]
        return min(known, default=None)
