"""One utterance of the user, and whether its words read complete."""

import dataclasses
import re

from antiphon_gateway.turn_timings import TurnTimings
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ

_HANGING = frozenset(
    [
        "a",
        "an",
        "and",
        "because",
        "but",
        "er",
        "erm",
        "if",
        "my",
        "or",
        "so",
        "the",
        "uh",
        "um",
        "your",
    ]
)
"""Words that end no sentence."""
_HANGING_UNLESS_ASKED = frozenset(
    ["as", "at", "by", "for", "from", "in", "into", "of", "on", "than", "to", "with"]
)
"""Words that end a question now and then, a statement hardly ever."""
_SENTENCE_END = re.compile(r"[.?!][\"')\]]*$")


@dataclasses.dataclass(slots=True)
class UserTurn:
    """One utterance of the user and what is known of it."""

    item_id: str
    start_sample: int
    end_sample: int = 0
    job_id: str = ""
    transcript: str | None = None
    committed: bool = False
    manual: bool = False
    """Ended by the client's commit, which asks for no response."""
    timings: TurnTimings | None = None
    retractions: int = 0
    """How often its end was decided too early, and the answer taken back."""

    @property
    def seconds(self) -> float:
        """Length of its audio."""
        return (self.end_sample - self.start_sample) / STT_SAMPLE_RATE_HZ


def reads_complete(transcript: str) -> bool:
    """Tell whether a transcript reads finished: it has an end mark and no word left hanging."""
    words = re.findall(r"[\w']+", transcript.lower())
    end = _SENTENCE_END.search(transcript)
    if not words or end is None or transcript.endswith("..."):
        return False
    asked = end.group().startswith("?")
    return words[-1] not in _HANGING and (asked or words[-1] not in _HANGING_UNLESS_ASKED)
