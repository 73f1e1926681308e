"""What a session's pure core wants done; `driver` does it."""

from typing import NamedTuple

from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.realtime.audio_formats import AudioFormat
from antiphon_gateway.realtime.server_events import ServerEvent


class SendEvent(NamedTuple):
    """Send a JSON event to the client."""

    event: ServerEvent


class SendAudio(NamedTuple):
    """Send response audio: a binary frame or a base64 event, as the client negotiated."""

    response_id: str
    item_id: str
    stream: int
    first_sample: int
    sample_rate_hz: int
    format: AudioFormat
    """What a client without binary frames is sent."""
    pcm: bytes
    """PCM16 mono at `sample_rate_hz`."""


class Submit(NamedTuple):
    """Queue a job."""

    request: Request


class CancelJobs(NamedTuple):
    """End jobs whose results nobody wants."""

    job_ids: tuple[str, ...]


class DetectSpeech(NamedTuple):
    """Run voice activity detection over microphone audio (PCM16 at 16 kHz)."""

    pcm: bytes


class Retrieve(NamedTuple):
    """Look up passages for what the user said; the answer goes to `Session.on_passages`."""

    lookup: int
    query: str


class NoteTurn(NamedTuple):
    """Log that a turn is being answered, and how long each step took. No words."""

    turn_id: int
    response_id: str
    steps_ms: dict[str, float]


class NoteRetraction(NamedTuple):
    """Log that an answer was taken back, because the user went on. No words."""

    turn_id: int
    heard_ms: float
    """How much of the answer was heard."""
    retractions: int
    """How often that has happened to this turn."""


class NoteTurnEnd(NamedTuple):
    """Log that a turn was decided to be over, why, and after how much silence. No words."""

    turn_id: int
    reason: str
    silence_ms: int


class NoteUnderrun(NamedTuple):
    """Log that a reply's audio came too late: the listener had nothing to hear."""

    turn_id: int
    gap_ms: float


class NoteClientUnderruns(NamedTuple):
    """Count how often the client had no audio left to play, by its own report."""

    underruns: int


Effect = (
    SendEvent
    | SendAudio
    | Submit
    | CancelJobs
    | DetectSpeech
    | Retrieve
    | NoteTurn
    | NoteTurnEnd
    | NoteRetraction
    | NoteUnderrun
    | NoteClientUnderruns
)
