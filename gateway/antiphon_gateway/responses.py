"""The responses of one session: the one that speaks, the one prepared, the one due. Pure."""

import functools
from collections.abc import Sequence
from typing import Any

from msgspec import structs

from antiphon_gateway import item_audio
from antiphon_gateway.filler_response import FillerResponse
from antiphon_gateway.history import History
from antiphon_gateway.interruptions import Interruptions
from antiphon_gateway.listening import Listener
from antiphon_gateway.live_settings import LiveSettings
from antiphon_gateway.passage_lookups import PassageLookups
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.items import FunctionCallItem, Item
from antiphon_gateway.realtime.response_settings import ResponseSettings, with_transcript
from antiphon_gateway.response import Response
from antiphon_gateway.retrieval.passage import Passage
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.speculation import has_room
from antiphon_gateway.turn_timings import TurnTimings
from antiphon_gateway.user_turn import UserTurn
from antiphon_proto.messages import STAGES, Result

_SILENCE = "(The user says nothing.)"
"""What the model reads in place of the words of a turn without any."""


class Responses:
    """Begins, prepares and stops responses; at most one is in progress."""

    def __init__(
        self,
        context: SessionContext,
        settings: LiveSettings,
        history: History,
        listener: Listener,
        interruptions: Interruptions,
    ) -> None:
        self.current: Response | None = None
        """The one that speaks, or spoke last."""
        self._context = context
        self._settings = settings
        self._history = history
        self._listener = listener
        self._interruptions = interruptions
        self._prepared: tuple[UserTurn, Response] | None = None
        self._turn_due: UserTurn | None = None
        self._unanswered: TurnTimings | None = None
        self._streams = 0
        self._lookups = PassageLookups(context)

    # --- inputs ----------------------------------------------------------------------------

    def on_result(self, result: Result, payload: bytes, now_ms: float) -> None:
        """Take one result of a job, if it is one of a response's."""
        for response in self._live():
            if response.owns(result.job_id):
                response.on_result(result.job_id, result.body, payload, now_ms)
                self.settle(now_ms)
                return

    def on_passages(self, lookup: int, passages: Sequence[Passage], now_ms: float) -> None:
        """Take the passages that were looked up."""
        self._lookups.on_passages(lookup, passages)
        self.settle(now_ms)

    def advance(self, now_ms: float) -> None:
        """Send what is due."""
        self._lookups.advance(now_ms)
        if self.current is not None:
            self.current.advance(now_ms)
            self.settle(now_ms)

    def create(self, overrides: dict[str, Any] | None, now_ms: float) -> None:
        """Respond because the client asks for it. Raises InvalidEvent."""
        if self.busy and not self._filling:
            raise InvalidEvent(
                "conversation_already_has_active_response",
                f"response {self.current.response_id if self.current else ''} is in progress; "
                "wait for its response.done or send response.cancel",
            )
        settings = self._settings.response(overrides)
        self._history.messages(settings)
        spoken = item_audio.turns_of(
            settings.spoken_input,
            self._settings.input_format,
            self._listener.transcripts.waiting,
            of_input=True,
        )
        settings = structs.replace(settings, spoken_input=())
        timings: TurnTimings | None = None
        if settings.conversation == "auto":
            self.drop_prepared()
            self._turn_due = self._interruptions.newest_turn = None
            timings = self._unanswered
        self._run(self._new(settings, timings), now_ms)
        for turn in spoken:
            self._listener.transcripts.ask(turn, turn.pcm, self._listener.spoken_language)
        self._start_waiting(now_ms)

    def on_input_transcribed(self, turn: UserTurn, now_ms: float) -> None:
        """Speech in the input of a response has its transcript, or None when that failed."""
        response = self.current
        asked = (response.settings.input or ()) if response is not None else ()
        if response is not None and turn.item_id in (item.id for item in asked):
            if turn.transcript is None:
                response.fail("input_not_transcribed", "audio in response.input has no transcript")
            else:
                response.settings = with_transcript(
                    response.settings, turn.item_id, turn.content_index, turn.transcript
                )
        self._start_waiting(now_ms)
        self.settle(now_ms)
        self.respond_when_free(now_ms)

    def speak_up(self, now_ms: float) -> None:
        """Respond because the user says nothing."""
        settings = self._settings.response()
        response = self._new(settings, None)
        response.start(self._history.messages(settings, heard=_SILENCE))
        self._run(response, now_ms)

    def fill(self, text: str, now_ms: float) -> None:
        """Say a text that the model never reads, while functions of the client run."""
        settings = structs.replace(
            self._settings.response(), tools=(), metadata={"antiphon": "filler"}
        )
        self._streams += 1
        response = FillerResponse(self._context, settings, stream=self._streams, timings=None)
        response.say(text, now_ms)
        self._interruptions.newest_turn = None
        self._run(response, now_ms)

    def end_filler(self, now_ms: float) -> None:
        """Nobody waits any more: a filler that is being spoken gives way."""
        if isinstance(self.current, FillerResponse) and self.current.in_progress:
            self.current.give_way(now_ms)
            self._history.record(self.current)

    def cancel(self, response_id: str | None, now_ms: float) -> None:
        """Stop the running response because the client asks for it. Raises InvalidEvent."""
        response = self.current
        if (
            response is None
            or not response.in_progress
            or (response_id not in (None, response.response_id))
        ):
            raise InvalidEvent("response_cancel_not_active", "no response is in progress")
        response.cancel("client_cancelled", now_ms)
        self.settle(now_ms)

    def interrupt(self, now_ms: float) -> None:
        """The user speaks over the response: keep what was heard."""
        response = self.current
        if response is None:
            return
        if response.in_progress:
            response.cancel("turn_detected", now_ms)
            self._history.record(response)
        elif response.audible(now_ms):
            self._history.cut(response, response.heard_text(now_ms))
        response.silence()

    # --- the user's turns ------------------------------------------------------------------

    def prepare(self, turn: UserTurn) -> None:
        """Begin the response to a turn that is not known to be over, when there is room."""
        taking = self._context.config.turn_taking
        loads = (self._context.load(stage) for stage in STAGES)
        if taking.speculation and has_room(loads, taking.speculation_wait_ms):
            response = self._new(self._settings.response(), turn.timings)
            self._lookups.ask(
                response, self._history.messages(response.settings, heard=turn.transcript)
            )
            self._prepared = (turn, response)

    def drop_prepared(self) -> None:
        """What was prepared is void."""
        if self._prepared is not None:
            self._prepared[1].cancel("turn_detected", 0.0)
            self._prepared = None

    def note_turn(self, turn: UserTurn) -> None:
        """A turn is over."""
        if turn.manual:
            self.drop_prepared()
        self._unanswered = turn.timings

    def forget_turns(self) -> None:
        """No turn is due: the newest was not over."""
        self._turn_due = self._unanswered = None

    def on_turn_transcribed(self, turn: UserTurn, now_ms: float) -> None:
        """A committed turn has its transcript, or None when that failed: answer it."""
        response = self.current
        answered = response is not None and response.waits and response.in_conversation
        self._start_waiting(now_ms)
        if not answered and not turn.manual and turn.transcript and self._settings.creates_response:
            if self._turn_due is None or self._turn_due.end_sample < turn.end_sample:
                self._turn_due = turn
        else:
            self.drop_prepared()
        self.respond_when_free(now_ms)

    def respond_when_free(self, now_ms: float) -> None:
        """Answer the turn that is due, unless a response runs or more of the user is to come."""
        turn = self._turn_due
        if turn is None or (self.busy and not self._filling):
            return
        if self._listener.user_speaking or self._listener.transcribing:
            return
        self._turn_due = None
        response: Response | None = None
        if self._prepared is not None and self._prepared[0] is turn:
            response = self._prepared[1]
            self._prepared = None
        self.drop_prepared()
        if response is None or response.ended:
            response = self._new(self._settings.response(), turn.timings)
            self._lookups.ask(response, self._history.messages(response.settings))
        self._run(response, now_ms)

    def settle(self, now_ms: float) -> None:
        """Keep the item of a response that has ended; answer the turn that is due."""
        if self.current is not None and self.current.ended:
            self._history.record(self.current)
            self.respond_when_free(now_ms)

    # --- what others ask -------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a response is in progress."""
        return self.current is not None and self.current.in_progress

    @property
    def pending(self) -> bool:
        """Whether a response is in progress or due."""
        return self.busy or self._turn_due is not None

    @property
    def answers_next(self) -> bool:
        """Whether what the user says now would be answered at once."""
        return self._settings.creates_response and not self.busy and not self._listener.transcribing

    @property
    def running_item_ids(self) -> tuple[str, ...]:
        """Return the ids of the items that are being made."""
        return tuple(one.item_id for one in self._live() if one.in_progress)

    def audible(self, now_ms: float) -> bool:
        """Whether the user hears a response now."""
        return self.current is not None and self.current.audible(now_ms)

    def would_be_disturbed(self, now_ms: float) -> bool:
        """Whether a response is heard, made, or due."""
        return (
            self.pending
            or self.audible(now_ms)
            or (self._settings.creates_response and self._listener.transcribing)
        )

    def next_due_ms(self, now_ms: float) -> float | None:
        """Return when `advance` must be called next."""
        looked_up_ms = self._lookups.next_due_ms(now_ms)
        speaks_ms = self.current.next_due_ms(now_ms) if self.current is not None else None
        if looked_up_ms is None or speaks_ms is None:
            return speaks_ms if looked_up_ms is None else looked_up_ms
        return min(looked_up_ms, speaks_ms)

    def open_jobs(self) -> tuple[str, ...]:
        """Return the ids of the jobs that have not ended."""
        return tuple(job for one in self._live() for job in one.open_jobs())

    # --- inside ----------------------------------------------------------------------------

    @property
    def _filling(self) -> bool:
        return self.busy and self.current is not None and self.current.is_filler

    def _live(self) -> list[Response]:
        responses = [self._prepared[1]] if self._prepared is not None else []
        return responses + ([self.current] if self.current is not None else [])

    def _new(self, settings: ResponseSettings, timings: TurnTimings | None) -> Response:
        self._streams += 1
        if timings is not None:
            timings.begin_response()
        return Response(self._context, settings, stream=self._streams, timings=timings)

    def _run(self, response: Response, now_ms: float) -> None:
        """Make it the session's response and let it speak."""
        self.end_filler(now_ms)
        if self.current is not None:
            self.current.silence()
        self.current = response
        if response.in_conversation:
            self._unanswered = None
        self._interruptions.hold(response)
        response.release(functools.partial(self._add_output, response), now_ms)
        self._lookups.tell(response)
        self.settle(now_ms)

    def _add_output(self, response: Response, item: Item) -> str | None:
        """Make a response's item one of the conversation; return the id of the item before it.

        The client may have carried out a call before it learns that it is void, so the turn that
        led to it stays, too.
        """
        if response.in_conversation and isinstance(item, FunctionCallItem):
            self._interruptions.newest_turn = None
        return self._history.add_output(response, item)

    def _start_waiting(self, now_ms: float) -> None:
        """Ask the model, once every committed turn has its transcript."""
        response = self.current
        if response is None or not response.waits or self._listener.transcribing:
            return
        try:
            messages = self._history.messages(response.settings)
        except InvalidEvent as error:
            response.fail(error.code, error.message)
            self.settle(now_ms)
            return
        self._lookups.ask(response, messages)
