"""The pure core of one session: client events, audio and results in, effects out.

It reads no clock and does no I/O: every input comes with the time, and what is to be done comes out
of `take_effects`. Whatever arrives for a job that no part of the session owns is dropped.
"""

from collections.abc import Sequence
from typing import Any

from antiphon_gateway.effects import Effect
from antiphon_gateway.history import History
from antiphon_gateway.interruptions import Interruptions
from antiphon_gateway.listening import Listener
from antiphon_gateway.live_settings import LiveSettings
from antiphon_gateway.prompt_warming import PromptWarming
from antiphon_gateway.realtime import client_events as client
from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.realtime.audio_formats import AudioFormat
from antiphon_gateway.realtime.catalogue import Catalogue
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.response_settings import ResponseSettings
from antiphon_gateway.response import Response
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.speculation import has_room
from antiphon_gateway.turn_timings import TurnTimings
from antiphon_gateway.user_turn import UserTurn
from antiphon_proto.messages import STAGES, ChatMessage, Result


class Session:
    """One conversation."""

    def __init__(self, context: SessionContext, catalogue: Catalogue) -> None:
        self.context = context
        self.history = History(context)
        self._settings = LiveSettings(context, catalogue)
        self._listener = Listener(context, self, self._settings.turn_detection)
        self._warming = PromptWarming(context)
        self._response: Response | None = None
        self._speculation: tuple[UserTurn, Response] | None = None
        self._turn_due: UserTurn | None = None
        self._unanswered: TurnTimings | None = None
        self._interruptions = Interruptions(context, self._listener)
        self._streams = 0

    # --- inputs ----------------------------------------------------------------------------

    def open(self, _: float) -> None:
        """Greet the client."""
        self.context.send(events.SessionCreated(session=self._settings.to_json()))

    def on_event(self, event: client.ClientEvent, now_ms: float) -> None:
        """Take a client event; what is wrong with it is answered with an `error` event."""
        try:
            self._handle(event, now_ms)
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
            return
        if self._warming.owns(result.job_id):
            self._warming.on_result(result.body)
            self._read_ahead(now_ms)
            return
        if self._interruptions.owns(result.job_id):
            self._interruptions.on_result(result.body, now_ms)
            return
        for response in self._live_responses():
            if response.owns(result.job_id):
                response.on_result(result.job_id, result.body, payload, now_ms)
                self._after_response_step(now_ms)
                return

    def on_message_end(self, text: str, probability: float, now_ms: float) -> None:
        """Take the model's probability that the message being spoken ends after `text`."""
        self._listener.on_message_end(text, probability, now_ms)

    def advance(self, now_ms: float) -> None:
        """Do what is due at this time."""
        if self._response is not None:
            self._response.advance(now_ms)
            self._after_response_step(now_ms)

    def refuse(self, error: InvalidEvent) -> None:
        """Answer with an `error` event; the session goes on."""
        self.context.send(events.invalid_event(error))

    # --- what the driver asks --------------------------------------------------------------

    def take_effects(self) -> list[Effect]:
        """Return the effects since the last call."""
        return self.context.take_effects()

    def next_due_ms(self, now_ms: float) -> float | None:
        """Return when `advance` must be called next."""
        return self._response.next_due_ms(now_ms) if self._response is not None else None

    def open_jobs(self) -> tuple[str, ...]:
        """Return the ids of the jobs that have not ended."""
        jobs = [*self._listener.open_jobs(), *self._warming.open_jobs()]
        jobs += self._interruptions.open_jobs()
        return (*jobs, *(job for one in self._live_responses() for job in one.open_jobs()))

    @property
    def input_format(self) -> AudioFormat:
        """The format of `input_audio_buffer.append`."""
        return self._settings.input_format

    def in_turn(self, now_ms: float) -> bool:
        """Whether the user speaks, waits for an answer or hears one."""
        listens = self._listener.user_speaking or self._listener.transcribing
        return listens or self._turn_due is not None or self._busy or self.audible(now_ms)

    # --- the user's turns (what the listener calls) ----------------------------------------

    def audible(self, now_ms: float) -> bool:
        """Whether the user hears a response now."""
        return self._response is not None and self._response.audible(now_ms)

    def judge_of(self, start_sample: int, now_ms: float) -> Interruptions | None:
        """Who judges speech first, because it would stop or void a response."""
        held = self._settings.interrupts_response and self._interruptions.begin(
            start_sample, self._response, now_ms, disturbs=self._would_disturb(now_ms)
        )
        return self._interruptions if held else None

    def on_held_dropped(self, now_ms: float) -> None:
        """The held speech does not count: the response goes on."""
        self._interruptions.end(now_ms, stopped=False)
        self._after_response_step(now_ms)

    def turn_to_reopen(self, start_sample: int) -> UserTurn | None:
        """The turn that the held speech goes on with, when its answer has hardly begun."""
        turn = self._interruptions.turn_to_reopen(start_sample)
        return turn if turn is not None and self.history.holds_turn(turn) else None

    def on_turn_reopened(self, turn: UserTurn, now_ms: float) -> None:
        """The turn was not over: what was made of it is taken back."""
        self._interruptions.note_retraction(turn)
        self.on_speech_started(now_ms)
        self._turn_due = self._unanswered = None
        self.history.retract(turn, self._response)

    def on_speech_started(self, now_ms: float) -> None:
        """The user began to speak: whatever is being said or prepared stops."""
        self._interruptions.end(now_ms, stopped=self._settings.interrupts_response)
        self._drop_speculation()
        if self._settings.interrupts_response:
            self._interrupt(now_ms)
        self._warming.begin()
        self._read_ahead(now_ms)

    def on_speech_resumed(self) -> None:
        """The user went on after a pause: what was made of the first part is void."""
        self._warming.begin()
        self._drop_speculation()

    def on_transcript_ahead(self, turn: UserTurn) -> None:
        """Prepare the response before the turn is known to be over."""
        self._drop_speculation()
        if not turn.transcript or not self._answers_next:
            return
        self._warming.settle(self._messages(turn.transcript))
        taking = self.context.config.turn_taking
        loads = (self.context.load(stage) for stage in STAGES)
        if taking.speculation and has_room(loads, taking.speculation_wait_ms):
            response = self._new_response(self._settings.response(), turn.timings)
            response.start(self.history.messages(response.settings, heard=turn.transcript))
            self._speculation = (turn, response)

    def on_turn_committed(self, turn: UserTurn) -> None:
        """The turn is over: it becomes a conversation item."""
        if turn.manual:
            self._drop_speculation()
        self._unanswered = turn.timings
        self._interruptions.newest_turn = None if turn.manual else turn
        self.history.add_turn(turn)

    def on_turn_transcribed(self, turn: UserTurn, now_ms: float) -> None:
        """A committed turn has its transcript, or None when that failed."""
        if turn.transcript is not None:
            self.history.set_transcript(turn, turn.transcript)
        response = self._response
        answered = response is not None and response.waits and response.in_conversation
        self._start_waiting_response(now_ms)
        if not answered and not turn.manual and turn.transcript and self._settings.creates_response:
            if self._turn_due is None or self._turn_due.end_sample < turn.end_sample:
                self._turn_due = turn
        else:
            self._drop_speculation()
        self._respond_when_free(now_ms)

    # --- responses -------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        return self._response is not None and self._response.in_progress

    @property
    def _answers_next(self) -> bool:
        """Whether what the user says now would be answered at once."""
        return (
            self._settings.creates_response and not self._busy and not self._listener.transcribing
        )

    def _messages(self, heard: str) -> tuple[ChatMessage, ...]:
        """Return what the model will read when the user has said this."""
        return self.history.messages(self._settings.response(), heard=heard)

    def _read_ahead(self, now_ms: float) -> None:
        """Have the model read what was said so far; pass on what it knows of its end."""
        if self._listener.user_speaking and self._answers_next:
            self._warming.read(self._messages(self._listener.words_so_far))
        if end := self._warming.take_end():
            self.on_message_end(end.text, end.probability, now_ms)

    def _respond_when_free(self, now_ms: float) -> None:
        """Answer the turn that is due, unless a response runs or more of the user is to come."""
        turn = self._turn_due
        if (
            turn is None
            or self._busy
            or self._listener.user_speaking
            or self._listener.transcribing
        ):
            return
        self._turn_due = None
        response: Response | None = None
        if self._speculation is not None and self._speculation[0] is turn:
            response = self._speculation[1]
            self._speculation = None
        self._drop_speculation()
        if response is None or response.ended:
            response = self._new_response(self._settings.response(), turn.timings)
            response.start(self.history.messages(response.settings))
        self._run(response, now_ms)

    def _create_response(self, overrides: dict[str, Any] | None, now_ms: float) -> None:
        if self._busy:
            raise InvalidEvent(
                "conversation_already_has_active_response",
                f"response {self._response.response_id if self._response else ''} is in progress; "
                "wait for its response.done or send response.cancel",
            )
        settings = self._settings.response(overrides)
        self.history.messages(settings)
        timings: TurnTimings | None = None
        if settings.conversation == "auto":
            self._drop_speculation()
            self._turn_due = self._interruptions.newest_turn = None
            timings = self._unanswered
        self._run(self._new_response(settings, timings), now_ms)
        self._start_waiting_response(now_ms)

    def _new_response(self, settings: ResponseSettings, timings: TurnTimings | None) -> Response:
        self._streams += 1
        if timings is not None:
            timings.begin_response()
        return Response(self.context, settings, stream=self._streams, timings=timings)

    def _run(self, response: Response, now_ms: float) -> None:
        """Make it the session's response and let it speak."""
        if self._response is not None:
            self._response.silence()
        self._response = response
        if response.in_conversation:
            self._unanswered = None
        self._interruptions.hold(response)
        response.release(self.history.add_response(response), now_ms)
        self._after_response_step(now_ms)

    def _start_waiting_response(self, now_ms: float) -> None:
        """Ask the model, once every committed turn has its transcript."""
        response = self._response
        if response is None or not response.waits or self._listener.transcribing:
            return
        try:
            messages = self.history.messages(response.settings)
        except InvalidEvent as error:
            response.fail(error.code, error.message)
            self._after_response_step(now_ms)
            return
        response.start(messages)

    def _after_response_step(self, now_ms: float) -> None:
        if self._response is not None and self._response.ended:
            self.history.record(self._response)
            self._respond_when_free(now_ms)

    def _interrupt(self, now_ms: float) -> None:
        """The user speaks over the response: keep what was heard."""
        response = self._response
        if response is None:
            return
        if response.in_progress:
            response.cancel("turn_detected", now_ms)
            self.history.record(response)
        elif response.audible(now_ms):
            self.history.cut(response, response.heard_text(now_ms))
        response.silence()

    def _would_disturb(self, now_ms: float) -> bool:
        """Whether a response is heard, made, or due."""
        return (
            self._busy
            or self.audible(now_ms)
            or self._turn_due is not None
            or (self._settings.creates_response and self._listener.transcribing)
        )

    def _cancel_response(self, response_id: str | None, now_ms: float) -> None:
        response = self._response
        if (
            response is None
            or not response.in_progress
            or (response_id not in (None, response.response_id))
        ):
            raise InvalidEvent("response_cancel_not_active", "no response is in progress")
        response.cancel("client_cancelled", now_ms)
        self._after_response_step(now_ms)

    def _drop_speculation(self) -> None:
        if self._speculation is not None:
            self._speculation[1].cancel("turn_detected", 0.0)
            self._speculation = None

    def _live_responses(self) -> list[Response]:
        responses = [self._speculation[1]] if self._speculation is not None else []
        return responses + ([self._response] if self._response is not None else [])

    # --- client events ---------------------------------------------------------------------

    def _handle(self, event: client.ClientEvent, now_ms: float) -> None:
        match event:
            case client.InputAudioAppend(audio=audio):
                form = self._settings.input_format
                pcm = form.to_pcm16(audio)
                self.context.capture.note(len(pcm) / 2 / form.sample_rate_hz, None, now_ms)
                self._listener.append(pcm, form.sample_rate_hz)
            case client.Playout() | client.TurnPlayed():
                self._take_playout(event, now_ms)
            case client.SessionUpdate(session=update):
                self._update(update, now_ms)
                self._respond_when_free(now_ms)
            case client.InputAudioCommit():
                self._listener.commit(now_ms)
            case client.InputAudioClear():
                self._listener.clear(now_ms)
                self.context.send(events.InputAudioCleared())
                self._respond_when_free(now_ms)
            case (
                client.ItemCreate()
                | client.ItemRetrieve()
                | client.ItemDelete()
                | client.ItemTruncate()
            ):
                running = (one.item_id for one in self._live_responses() if one.in_progress)
                self.history.handle(event, taken={*self._listener.open_item_ids, *running})
                if not isinstance(event, client.ItemRetrieve):
                    self._drop_speculation()
            case client.ResponseCreate(response=overrides):
                self._create_response(overrides, now_ms)
            case client.ResponseCancel(response_id=response_id):
                self._cancel_response(response_id, now_ms)
            case client.OutputAudioClear():
                raise client.only_for_webrtc()

    def _update(self, update: dict[str, Any], now_ms: float) -> None:
        if self._settings.update(update):
            self._drop_speculation()
        self._listener.configure(self._settings.turn_detection, now_ms)
        self._listener.language = self._settings.language
        self.context.send(events.SessionUpdated(session=self._settings.to_json()))

    def _take_playout(self, event: client.Playout | client.TurnPlayed, now_ms: float) -> None:
        response = self.history.response_of(event.item_id)
        if response is not None and isinstance(event, client.TurnPlayed):
            response.report_played(event)
        elif response is not None and isinstance(event, client.Playout):
            response.report_playout(event.played_ms, now_ms)
            self.advance(now_ms)
