"""One utterance of the user."""

import dataclasses

from antiphon_gateway.turn_timings import TurnTimings
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ


@dataclasses.dataclass(slots=True)
class UserTurn:
    """One utterance of the user and what is known of it."""

    item_id: str
    start_sample: int
    end_sample: int = 0
    job_id: str = ""
    transcript: str | None = None
    words_before: str = ""
    """Its words before the audio that is transcribed."""
    committed: bool = False
    manual: bool = False
    """Ended by the client's commit, which asks for no response."""
    timings: TurnTimings | None = None
    retractions: int = 0
    """How often its end was decided too early, and the answer taken back."""

    content_index: int = 0
    """Which part of the item it is."""
    pcm: bytes = b""
    """Its audio, 16 kHz PCM16, when that is not the microphone's of this session."""
    of_input: bool = False
    """Part of the `input` of a response: no item of the conversation has its words."""

    @property
    def seconds(self) -> float:
        """Length of its audio."""
        return (self.end_sample - self.start_sample) / STT_SAMPLE_RATE_HZ
