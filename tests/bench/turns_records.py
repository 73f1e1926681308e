"""Records of trials made by hand: a sound, what the server sent, what was played."""

import numpy as np

from antiphon import events
from antiphon.connection import Audio
from bench.turns.plans import Trial
from bench.turns.record import Record
from bench.turns.sound import RATE_HZ, Sound, Word

START_S = 100.0
"""When the first sample of every sound is captured."""
LOUD = (np.full(RATE_HZ // 50, 0.3) * 32767).astype("<i2").tobytes()
"""20 ms that can be heard."""


def sound(seconds: float = 2.0, transcript: str = "turn on the lamp") -> Sound:
    """A sound that is speech from its first to its last sample, in words of equal length."""
    words = transcript.split()
    each_ms = seconds * 1000 / max(1, len(words))
    timed = tuple(Word(i * each_ms, (i + 1) * each_ms, word) for i, word in enumerate(words))
    samples = np.full(round(seconds * RATE_HZ), 0.1, np.float32)
    return Sound("made", samples, 0.0, seconds * 1000, transcript, timed)


def record(*, over_reply: bool = False, asks: bool = True, said: Sound | None = None) -> Record:
    """A record of a sound of 2 s that began at START_S."""
    trial = Trial("question", "made", said or sound(), over_reply, 0.0, asks=asks)
    made = Record(trial)
    made.began_s = START_S
    return made


def turn(made: Record, item_id: str, at_s: float, transcript: str) -> None:
    """The server commits a turn at this time after the sound began, and transcribes it."""
    kind = "conversation.item.input_audio_transcription.completed"
    made.note(
        events.Committed(type="input_audio_buffer.committed", item_id=item_id), START_S + at_s
    )
    made.note(
        events.TranscriptCompleted(type=kind, item_id=item_id, transcript=transcript),
        START_S + at_s,
    )


def deleted(made: Record, item_id: str, at_s: float) -> None:
    """The server takes a turn back."""
    event = events.ItemDeleted(type="conversation.item.deleted", item_id=item_id)
    made.note(event, START_S + at_s)


def reply(made: Record, number: int, at_s: float, seconds: float) -> None:
    """A response begins and all of its audio arrives at once."""
    response_id, item_id = f"resp_{number}", f"reply_{number}"
    response = events.Response(response_id)
    made.note(events.ResponseCreated(type="response.created", response=response), START_S + at_s)
    for _ in range(round(seconds * 50)):
        made.listener.received(item_id, 0.02, START_S + at_s)
        made.note(Audio(response_id, item_id, RATE_HZ, LOUD, START_S + at_s), START_S + at_s)


def done(made: Record, number: int, at_s: float, status: str = "completed") -> None:
    """A response ends; a cancelled one is no longer played."""
    response = events.Response(f"resp_{number}", status)
    made.note(events.ResponseDone(type="response.done", response=response), START_S + at_s)
    if status == "cancelled":
        made.listener.flush(START_S + at_s)


def other(made: Record, type_: str, at_s: float, **body: object) -> None:
    """The server sends an event that the client has no struct for."""
    made.note(events.OtherEvent(type=type_, body=body), START_S + at_s)


def partial(made: Record, at_s: float, stable: str, unstable: str, item_id: str = "u1") -> None:
    """The server shows a partial transcript."""
    kind = "antiphon.transcript.partial"
    other(made, kind, at_s, item_id=item_id, stable=stable, unstable=unstable)
