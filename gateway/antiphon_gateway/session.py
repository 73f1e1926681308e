"""The pure core of one session: client events, audio and results in, effects out.

It reads no clock and does no I/O: every input comes with the time, and what is to be done comes out
of `take_effects`. Whatever arrives for a job that no part of the session owns is dropped.
"""

from collections.abc import Sequence

from antiphon_gateway.effects import Effect
from antiphon_gateway.filler import Filler
from antiphon_gateway.history import History
from antiphon_gateway.idle_turn import IdleTurn
from antiphon_gateway.interruptions import Interruptions
from antiphon_gateway.listening import Listener
from antiphon_gateway.live_settings import LiveSettings
from antiphon_gateway.prompt_warming import MessageEnd, PromptWarming
from antiphon_gateway.realtime import client_events as client
from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.realtime.audio_formats import AudioFormat
from antiphon_gateway.realtime.catalogue import Catalogue
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.session_settings import SessionType
from antiphon_gateway.responses import Responses
from antiphon_gateway.retrieval.passage import Passage
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.session_requests import SessionRequests
from antiphon_gateway.user_turn import UserTurn
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    Result,
)


class Session:
    """One conversation."""

    def __init__(
        self, context: SessionContext, catalogue: Catalogue, kind: SessionType = "realtime"
    ) -> None:
        self.context = context
        self.history = History(context)
        self._settings = LiveSettings(context, catalogue, kind)
        self._listener = Listener(context, self, self._settings.turn_detection)
        self._warming = PromptWarming(context, self._settings)
        self._interruptions = Interruptions(context, self._listener)
        self._responses = Responses(
            context, self._settings, self.history, self._listener, self._interruptions
        )
        parts = (context, self._settings, self.history, self._listener, self._responses)
        self._idle_turn = IdleTurn(*parts)
        self._filler = Filler(*parts)
        self._requests = SessionRequests(*parts, self._filler)

    # --- inputs ----------------------------------------------------------------------------

    def open(self, _: float) -> None:
        """Greet the client."""
        self.context.send(events.SessionCreated(session=self._settings.to_json()))

    def on_event(self, event: client.ClientEvent, now_ms: float) -> None:
        """Take a client event; what is wrong with it is answered with an `error` event."""
        try:
            self._requests.handle(event, now_ms)
        except InvalidEvent as error:
            error.event_id = error.event_id or event.event_id
            self.refuse(error)

    def on_audio(
        self, pcm: bytes, sample_rate_hz: int, now_ms: float = 0.0, captured_us: int | None = None
    ) -> None:
        """Take microphone audio from a binary frame, captured at that time of the client's."""
        self.context.capture.note(len(pcm) / 2 / sample_rate_hz, captured_us, now_ms)
        try:
            self._listener.append(pcm, sample_rate_hz)
        except InvalidEvent as error:
            self.refuse(error)

    def on_speech_probabilities(self, probabilities: Sequence[float], now_ms: float) -> None:
        """Take the speech probabilities of the next windows of the microphone's audio."""
        self._listener.on_speech_probabilities(probabilities, now_ms)

    def on_result(self, result: Result, payload: bytes, now_ms: float) -> None:
        """Take one result of a job."""
        if self._listener.owns(result.job_id):
            self._listener.on_result(result.job_id, result.body, now_ms)
            self._read_ahead(now_ms)
        elif self._warming.owns(result.job_id):
            self._warming.on_result(result.body)
            self._read_ahead(now_ms)
        elif self._interruptions.owns(result.job_id):
            self._interruptions.on_result(result.body, now_ms)
        else:
            self._responses.on_result(result, payload, now_ms)

    def on_passages(self, lookup: int, passages: Sequence[Passage], now_ms: float) -> None:
        """Take the passages that were looked up for a response."""
        self._responses.on_passages(lookup, passages, now_ms)

    def on_message_end(self, end: MessageEnd, now_ms: float) -> None:
        """Take the model's word on whether the message being spoken ends after a text."""
        self._listener.on_message_end(end, now_ms)

    def advance(self, now_ms: float) -> None:
        """Do what is due at this time."""
        self._responses.advance(now_ms)
        self._idle_turn.advance(now_ms)
        self._filler.advance(now_ms)

    def refuse(self, error: InvalidEvent) -> None:
        """Answer with an `error` event; the session goes on."""
        self.context.send(events.invalid_event(error))

    # --- what the driver asks --------------------------------------------------------------

    def take_effects(self) -> list[Effect]:
        """Return the effects since the last call."""
        return self.context.take_effects()

    def next_due_ms(self, now_ms: float) -> float | None:
        """Return when `advance` must be called next."""
        waiting = (self._responses, self._idle_turn, self._filler)
        due = [at_ms for part in waiting if (at_ms := part.next_due_ms(now_ms)) is not None]
        return min(due, default=None)

    def forget_audio(self) -> None:
        """Hold no audio any more: the session is over."""
        self._listener.audio.clear()
        self.history.forget_audio()

    def open_jobs(self) -> tuple[str, ...]:
        """Return the ids of the jobs that have not ended."""
        jobs = [*self._listener.open_jobs(), *self._warming.open_jobs()]
        return (*jobs, *self._interruptions.open_jobs(), *self._responses.open_jobs())

    @property
    def input_format(self) -> AudioFormat:
        """The format of `input_audio_buffer.append`."""
        return self._settings.input_format

    @property
    def microphone_samples(self) -> int:
        """Position of the microphone's audio, at 16 kHz."""
        return self._listener.audio.position_samples

    @property
    def owes_answer(self) -> bool:
        """Whether the user speaks or waits for the rest of an answer."""
        listens = self._listener.user_speaking or self._listener.transcribing
        return listens or self._responses.pending

    def in_turn(self, now_ms: float) -> bool:
        """Whether the user speaks, waits for an answer or hears one."""
        return self.owes_answer or self._responses.audible(now_ms)

    # --- the user's turns (what the listener calls) ----------------------------------------

    def audible(self, now_ms: float) -> bool:
        """Whether the user hears a response now."""
        return self._responses.audible(now_ms)

    def judge_of(self, start_sample: int, now_ms: float) -> Interruptions | None:
        """Who judges speech first, because it would stop or void a response."""
        held = self._settings.interrupts_response and self._interruptions.begin(
            start_sample,
            self._responses.current,
            now_ms,
            disturbs=self._responses.would_be_disturbed(now_ms),
        )
        return self._interruptions if held else None

    def on_held_dropped(self, now_ms: float) -> None:
        """The held speech does not count: the response goes on."""
        self._interruptions.end(now_ms, stopped=False)
        self._responses.settle(now_ms)

    def turn_to_reopen(self, start_sample: int) -> UserTurn | None:
        """The turn that the held speech goes on with, when its answer has hardly begun."""
        newest = self._interruptions.newest_turn
        answered = newest is not None and self.history.answers(self._responses.current, newest)
        turn = self._interruptions.turn_to_reopen(start_sample, answered=answered)
        return turn if turn is not None and self.history.holds_turn(turn) else None

    def on_turn_reopened(self, turn: UserTurn, now_ms: float) -> None:
        """The turn was not over: what was made of it is taken back."""
        self._interruptions.note_retraction(turn)
        self.on_speech_started(now_ms)
        self._responses.forget_turns()
        self.history.retract(turn, self._responses.current)

    def on_speech_started(self, now_ms: float) -> None:
        """The user began to speak: whatever is being said or prepared stops."""
        self._idle_turn.notice(now_ms)
        self._filler.notice()
        self._interruptions.end(now_ms, stopped=self._settings.interrupts_response)
        self._responses.drop_prepared()
        if self._settings.interrupts_response:
            self._responses.interrupt(now_ms)
        self._warming.begin()
        self._read_ahead(now_ms)

    def on_speech_resumed(self) -> None:
        """The user went on after a pause: what was made of the first part is void."""
        self._warming.begin()
        self._responses.drop_prepared()

    def on_transcript_ahead(self, turn: UserTurn, *, unfinished: bool) -> None:
        """Prepare the response before the turn is known to be over, if it may be."""
        self._responses.drop_prepared()
        if turn.transcript and self._responses.answers_next:
            self._warming.settle(self._messages(turn.transcript))
            if not unfinished:
                self._responses.prepare(turn)

    def on_turn_committed(self, turn: UserTurn) -> None:
        """The turn is over: it becomes a conversation item."""
        self._filler.notice()
        self._responses.note_turn(turn)
        self._interruptions.newest_turn = None if turn.manual else turn
        self.history.add_turn(turn)

    def on_turn_transcribed(self, turn: UserTurn, now_ms: float) -> None:
        """A committed turn has its transcript, or None when that failed."""
        if turn.of_input:
            self._responses.on_input_transcribed(turn, now_ms)
            return
        if turn.transcript is not None:
            self.history.set_transcript(turn, turn.transcript)
        self._idle_turn.notice(now_ms)
        self._responses.on_turn_transcribed(turn, now_ms)

    # --- inside ----------------------------------------------------------------------------

    def _messages(self, heard: str) -> tuple[ChatMessage, ...]:
        """Return what the model will read when the user has said this."""
        return self.history.messages(self._settings.response(), heard=heard)

    def _read_ahead(self, now_ms: float) -> None:
        """Have the model read what was said so far; pass on what it knows of its end."""
        if self._listener.user_speaking and self._responses.answers_next:
            self._warming.read(self._messages(self._listener.words_so_far))
        if end := self._warming.take_end():
            self.on_message_end(end, now_ms)
