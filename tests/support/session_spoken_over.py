"""A session whose response is being heard, and what became of that."""

import itertools
from typing import Any

from session_rig import Rig, answer, spoken_turn

STARTED = "input_audio_buffer.speech_started"


def speaking(*, heard_ms: int = 1_500, extensions: bool = True, **options: Any) -> Rig:
    """Return a session whose response has been audible for so long."""
    rig = Rig(extensions=extensions, **options)
    spoken_turn(rig)
    answer(rig, "One two three four five six.", " Seven eight nine ten.", clause_ms=2_000)
    rig.pass_time(heard_ms)
    rig.types()
    return rig


def ducks(rig: Rig) -> list[tuple[str, bool]]:
    """Return how the duck has changed so far: item and state."""
    told = [event for event in rig.events if event["type"] == "antiphon.duck"]
    for before, after in itertools.pairwise(told):
        assert before != {**after, "event_id": before["event_id"]}, "the same was told twice"
    changes = itertools.groupby((event["item_id"], event["ducked"]) for event in told)
    return [change for change, _ in changes]


def pauses(rig: Rig) -> list[bool]:
    """Return how the pause has changed so far."""
    told = [event["paused"] for event in rig.events if event["type"] == "antiphon.duck"]
    return [change for change, _ in itertools.groupby(told)]
