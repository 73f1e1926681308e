"""What the parts of a session's core share: ids, effects, settings of the server."""

from collections.abc import Callable

from antiphon_gateway.capture_clock import CaptureClock
from antiphon_gateway.dispatch.load import StageLoad
from antiphon_gateway.dispatch.request import PATIENCE_MS, Request
from antiphon_gateway.effects import CancelJobs, Effect, SendEvent, Submit
from antiphon_gateway.realtime import ids
from antiphon_gateway.realtime.server_events import (
    ServerEvent,
    TranscriptionCompleted,
    TranscriptionDelta,
    TranscriptPartial,
)
from antiphon_gateway.round_trip import RoundTrip
from antiphon_proto.config import Config
from antiphon_proto.messages import Command, Stage

_TRANSCRIPTS = (TranscriptionCompleted, TranscriptionDelta, TranscriptPartial)


class SessionContext:
    """The session's identity, its outgoing effects and its job numbering."""

    def __init__(
        self,
        config: Config,
        *,
        session_id: str,
        extensions: bool,
        new_id: Callable[[str], str] = ids.new_id,
        load: Callable[[Stage], StageLoad] = lambda _: StageLoad(slots=1),
        first_sample: int = 0,
    ) -> None:
        """`extensions`: the client negotiated `antiphon.v1`; `load`: how busy a stage is now."""
        self.config = config
        self.session_id = session_id
        self.first_sample = first_sample
        """Position at which the microphone's audio goes on; not 0 after a restart."""
        self.extensions = extensions
        self.new_id = new_id
        self.load = load
        self.conversation_id = new_id("conv")
        self.capture = CaptureClock()
        self.round_trip = RoundTrip()
        self.away = False
        """Whether the client has no connection: nothing is played to it, so nothing is sent."""
        self.behind = False
        """Whether the connection still has enough to carry: no more audio is handed to it."""
        self.transcription_prompt = ""
        """Words that the client says the transcriber is to expect."""
        self.tells_transcripts = True
        """Whether the client is told the words of the user; the model reads them in any case."""
        self.turn_id = 0
        self.revision = 0
        self.jobs = 0
        """Jobs numbered so far."""
        self._effects: list[Effect] = []

    @property
    def takes_audio(self) -> bool:
        """Whether audio that is handed out reaches the client soon."""
        return not (self.away or self.behind)

    def take_effects(self) -> list[Effect]:
        """Return the effects since the last call."""
        effects, self._effects = self._effects, []
        return effects

    def emit(self, effect: Effect) -> None:
        """Ask the driver for an effect."""
        self._effects.append(effect)

    def send(self, event: ServerEvent) -> None:
        """Ask the driver to send an event; transcripts that are not wanted are left out."""
        if self.tells_transcripts or not isinstance(event, _TRANSCRIPTS):
            self.emit(SendEvent(event))

    def submit(
        self,
        command: Command,
        *,
        payload: bytes = b"",
        budget_ms: int,
        urgent: bool = False,
        patience_ms: int = PATIENCE_MS,
        job_id: str = "",
    ) -> str:
        """Ask the driver to queue a job of the current turn and revision; return its id.

        The rest is as in `Request`; `job_id` is that of a job which another gateway did not finish.
        """
        if not job_id:
            self.jobs += 1
            job_id = f"{self.session_id}.{self.jobs}"
        self.emit(
            Submit(
                Request(
                    job_id=job_id,
                    session_id=self.session_id,
                    turn_id=self.turn_id,
                    revision=self.revision,
                    command=command,
                    payload=payload,
                    budget_ms=budget_ms,
                    urgent=urgent,
                    patience_ms=patience_ms,
                )
            )
        )
        return job_id

    def cancel(self, *job_ids: str) -> None:
        """Ask the driver to end jobs."""
        if job_ids:
            self.emit(CancelJobs(job_ids))
