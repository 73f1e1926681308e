"""One response, from the model's text to events and audio. Pure: the time is passed in.

A response may be made before it is known that the user has finished (speculation). Until it is
released it is held: its jobs run, but nothing of it is sent, and it can vanish without a trace.
"""

import enum
from typing import Literal

from antiphon_gateway import generation
from antiphon_gateway.echo import PlayedAudio
from antiphon_gateway.realtime import response_object
from antiphon_gateway.realtime.client_events import TurnPlayed
from antiphon_gateway.realtime.items import FunctionCallItem, MessageItem
from antiphon_gateway.realtime.response_object import ResponseStatus, StatusDetails
from antiphon_gateway.realtime.response_settings import ResponseSettings
from antiphon_gateway.response_echo import ResponseEcho
from antiphon_gateway.response_events import AddItem, ResponseEvents, speaks
from antiphon_gateway.response_metrics import ResponseMetrics
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.speech_pipeline import AudioOut, SpeechPipeline, TextShown
from antiphon_gateway.speech_text import ThinkingFilter
from antiphon_gateway.turn_timings import TurnTimings
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import AudioDelta, Done, Failed, FunctionCalled, ResultBody, TextDelta

_MODEL_BUDGET_MS = 120_000
_QUESTION_AHEAD_MS = 600
"""A question is answered when so much of it is still to be heard."""

CancelReason = Literal["turn_detected", "client_cancelled"]


class ResponseState(enum.Enum):
    """How far a response is."""

    HELD = "held"
    IN_PROGRESS = "in progress"
    ENDED = "ended"


class Response:
    """One response: at most one message, and function calls."""

    is_filler = False
    """Whether it says a set text, which the model never reads."""

    def __init__(
        self,
        context: SessionContext,
        settings: ResponseSettings,
        *,
        stream: int,
        timings: TurnTimings | None,
    ) -> None:
        """Make a held response. `stream` numbers its audio, `timings` are those of its turn."""
        self.settings = settings
        self.called_ms: float | None = None
        """When it last called a function."""
        self._context = context
        self._events = ResponseEvents(context, settings, stream=stream)
        self._metrics = ResponseMetrics(context, timings, self._events.response_id)
        self._speech: SpeechPipeline | None = None
        if speaks(settings):
            self._speech = SpeechPipeline(
                context,
                voice=settings.voice,
                language=settings.language,
                speed=settings.speed,
                sample_rate_hz=settings.format.sample_rate_hz,
            )
        self.played = PlayedAudio(settings.format.sample_rate_hz)
        self._thinking = ThinkingFilter()
        self._state = ResponseState.HELD
        self._model_job = ""
        self._model_runs = False
        self._model_done: Done | None = None
        self._text = ""
        self._shown = ""
        self._calls: list[FunctionCalled] = []
        """Not told yet."""
        self._calls_to_come = False
        self._silenced = False
        self._start_held = False
        self._item: MessageItem | None = None

    # --- inputs ----------------------------------------------------------------------------

    def start(self, messages: tuple[ChatMessage, ...]) -> None:
        """Ask the language model."""
        llm = self._context.config.llm
        self._model_job = self._context.submit(
            generation.generate(
                messages,
                self.settings,
                temperature=llm.temperature,
                most_tokens=llm.max_output_tokens,
            ),
            budget_ms=_MODEL_BUDGET_MS,
            urgent=True,
        )
        self._model_runs = True

    def go_on(self, messages: tuple[ChatMessage, ...]) -> None:
        """Ask the language model for the rest of a response that another gateway began."""
        self.start((*messages, ChatMessage("assistant", self._text)) if self._text else messages)

    def release(self, add: AddItem, now_ms: float) -> None:
        """Let everything made so far out, and all that follows.

        `add` takes each of its items into the conversation and returns the id of the one before.
        """
        self._state = ResponseState.IN_PROGRESS
        self._events.open(add)
        if not generation.may_call(self.settings):
            self._events.open_message()
        self.advance(now_ms)

    def on_result(self, job_id: str, body: ResultBody, payload: bytes, now_ms: float) -> None:
        """Take one result of one of this response's jobs."""
        if self._state is ResponseState.ENDED:
            return
        if isinstance(body, Done | Failed):
            self._note_end(job_id)
        if isinstance(body, Failed) and not (job_id == self._model_job and self._has_its_call):
            self.fail(body.code, body.message)
        elif job_id == self._model_job:
            self._on_model(body, now_ms)
        elif self._speech is not None and isinstance(body, AudioDelta):
            self._metrics.mark("first_audio", now_ms)
            self._speech.on_audio(job_id, body, payload)
        self.advance(now_ms)

    def advance(self, now_ms: float) -> None:
        """Send what is due."""
        if self._state is ResponseState.ENDED:
            return
        released = self._may_speak
        if self._speech is not None:
            for out in self._speech.advance(now_ms, released=released):
                if isinstance(out, TextShown):
                    self._show(out.text)
                else:
                    self._metrics.mark("audio_sent", now_ms)
                    self._hand_out(out)
                    self._metrics.audio_sent()
        elif released and len(self._text) > len(self._shown):
            self._show(self._text[len(self._shown) :])
        if released:
            self._send_calls(now_ms)
        if released and self._model_done and (self._speech is None or self._speech.finished):
            self._complete(self._model_done)

    def cancel(self, reason: CancelReason, now_ms: float) -> None:
        """Stop. What was heard stays; a held response leaves no trace."""
        if self._state is ResponseState.ENDED:
            return
        heard = self.heard_text(now_ms)
        self._stop_jobs()
        if self._state is ResponseState.HELD:
            self._state = ResponseState.ENDED
        else:
            self._end("cancelled", response_object.cancelled(reason), heard)
        self._silenced = True

    def fail(self, code: str, message: str) -> None:
        """Stop, because something it needs is not there."""
        if self._state is ResponseState.ENDED:
            return
        self._stop_jobs()
        if self._state is ResponseState.HELD:
            self._state = ResponseState.ENDED
        else:
            self._end("failed", response_object.failed(code, message), self._sent_text())

    def hold_start(self) -> None:
        """Do not begin to speak, or to write, until `release_start`; what has begun goes on."""
        self._start_held = not self._has_begun and self._state is not ResponseState.ENDED

    def release_start(self, now_ms: float) -> None:
        """Begin after all."""
        self._start_held = False
        self.advance(now_ms)

    def lower(self, now_ms: float, *, gain: float) -> None:
        """The listener hears it with this gain; 0: nothing of it, until it goes on from there."""
        if self._speech is not None:
            self._speech.playout.pause(now_ms, paused=not gain)
            heard, late_ms = self._speech.playout.heard_samples(now_ms), self._context.round_trip.ms
            self.played.play(gain, heard, now_ms, late_ms)

    def report_playout(self, played_ms: float, now_ms: float, buffered_ms: float) -> None:
        """Take the client's word for how much of the audio it has played, and has to play."""
        if self._speech is not None and not self._silenced:
            self._speech.playout.report(played_ms, now_ms, buffered_ms)

    def report_played(self, event: TurnPlayed) -> None:
        """Take the client's word for when the first audio was played, once: the wait is known."""
        self._metrics.report_played(event)

    def silence(self) -> None:
        """The client stopped playing: what was sent and not heard never will be."""
        self._silenced = True

    # --- what others ask -------------------------------------------------------------------

    @property
    def response_id(self) -> str:
        """Id of the response."""
        return self._events.response_id

    @property
    def item_id(self) -> str:
        """Id of its item."""
        return self._events.item_id

    @property
    def calls(self) -> tuple[FunctionCallItem, ...]:
        """The functions that it called."""
        return self._events.calls

    @property
    def in_progress(self) -> bool:
        """Whether it was announced and has not ended."""
        return self._state is ResponseState.IN_PROGRESS

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self._state is ResponseState.ENDED

    @property
    def waits(self) -> bool:
        """Whether it was announced before the language model could be asked."""
        return self.in_progress and not self._model_job and self._model_done is None

    @property
    def in_conversation(self) -> bool:
        """Whether its item is one of the conversation's."""
        return self.settings.conversation == "auto"

    @property
    def item(self) -> MessageItem:
        """The item as it is now."""
        return self._item or self._events.item(self._shown, "in_progress")

    def owns(self, job_id: str) -> bool:
        """Tell whether a job is one of this response's that has not ended."""
        return job_id in self.open_jobs()

    def open_jobs(self) -> tuple[str, ...]:
        """Return the ids of its jobs that have not ended."""
        model = (self._model_job,) if self._model_runs else ()
        return (*model, *(self._speech.open_jobs() if self._speech is not None else ()))

    def audible(self, now_ms: float) -> bool:
        """Whether the listener is hearing it now."""
        speech = None if self._silenced else self._speech
        return speech is not None and speech.playout.lead_ms(now_ms) > 0

    def heard_ms(self, now_ms: float) -> float:
        """Return how much of its audio was heard; 0 for a text response."""
        if self._speech is None:
            return 0.0
        return self._speech.playout.heard_samples(now_ms) * 1000 / self._speech.sample_rate_hz

    @property
    def echo(self) -> ResponseEcho | None:
        """What the microphone may hear of it; None when it is not spoken, has not begun or is
        silenced."""
        if self._speech is None or self._silenced or not self._has_begun:
            return None
        return ResponseEcho(self._speech, self.played)

    @property
    def playback_end_ms(self) -> float | None:
        """When it has been heard; None while it goes on, and of one that was not spoken."""
        if self._speech is None or not self.ended or not self._has_begun:
            return None
        return self._speech.playout.end_ms

    def asks(self, now_ms: float) -> bool:
        """Whether it ends with a question that the listener has heard, or nearly so."""
        if self._speech is None or self._model_done is None or not self._speech.finished:
            return False
        nearly_heard = self._speech.playout.lead_ms(now_ms) <= _QUESTION_AHEAD_MS
        return nearly_heard and self._text.rstrip().endswith("?")

    def next_due_ms(self, now_ms: float) -> float | None:
        """Return when `advance` will have audio to send."""
        if self._speech is None or not self._may_speak:
            return None
        return self._speech.playout.next_due_ms(now_ms)

    def heard_text(self, now_ms: float) -> str:
        """Return the words heard so far; for a text response, the text sent."""
        if self._speech is None:
            return self._shown
        return self._speech.spoken.heard(self._speech.playout.heard_samples(now_ms))

    def heard_until(self, audio_end_ms: int) -> str:
        """Return the words within the first `audio_end_ms` of its audio."""
        if self._speech is None:
            return self._shown
        played_samples = audio_end_ms * self._speech.sample_rate_hz // 1000
        return self._speech.spoken.heard(min(played_samples, self._speech.playout.sent_samples))

    # --- inside ----------------------------------------------------------------------------

    @property
    def _may_speak(self) -> bool:
        return self.in_progress and not self._start_held and self._context.takes_audio

    @property
    def _has_begun(self) -> bool:
        return bool(self._shown if self._speech is None else self._speech.playout.sent_samples)

    @property
    def _has_its_call(self) -> bool:
        return not self.settings.parallel_tool_calls and bool(self._calls or self.calls)

    def _sent_text(self) -> str:
        if self._speech is None:
            return self._shown
        return self._speech.spoken.heard(self._speech.playout.sent_samples)

    def _note_end(self, job_id: str) -> None:
        if job_id == self._model_job:
            self._model_runs = False
        elif self._speech is not None:
            self._speech.on_end(job_id)

    def _on_model(self, body: ResultBody, now_ms: float) -> None:
        if isinstance(body, TextDelta):
            self._metrics.mark("model_first_text", now_ms)
            self._take_text(self._thinking.feed(body.text), now_ms)
        elif isinstance(body, FunctionCalled):
            if not self._has_its_call and generation.offers(self.settings, body.name):
                self._calls.append(body)
            self._calls_to_come = body.more_follow and not self._has_its_call
        elif isinstance(body, Done | Failed):  # failed: what is missing is calls it may not make
            self._model_done = body if isinstance(body, Done) else Done(engine_ms=0.0)
            self._take_text(self._thinking.finish(), now_ms)
            if self._speech is not None:
                self._speech.finish_text()
                self._mark_clause(now_ms)

    def _take_text(self, text: str, now_ms: float) -> None:
        self._text += text
        if self._speech is not None and text:
            self._speech.feed(text)
            self._mark_clause(now_ms)

    def _mark_clause(self, now_ms: float) -> None:
        if self._speech is not None and self._speech.has_clause:
            self._metrics.mark("first_clause", now_ms)

    def _send_calls(self, now_ms: float) -> None:
        """Tell of the calls at once, though the words before them may still be spoken."""
        if self._calls and self._text.strip():
            self._events.open_message()
        for call in self._calls:
            self._events.call(call.name, call.arguments)
            self.called_ms = now_ms
        self._calls.clear()

    def _hand_out(self, out: AudioOut) -> None:
        assert self._speech is not None
        self._events.open_message()
        self.played.add(out.pcm)
        self._events.send_audio(out.first_sample, self._speech.sample_rate_hz, out.pcm)

    def _show(self, delta: str) -> None:
        self._events.open_message()
        self._shown += delta
        self._events.show(delta)

    def _complete(self, done: Done) -> None:
        if not self._events.calls:
            self._events.open_message()
        if done.finish_reason == "length":
            self._end("incomplete", response_object.incomplete("max_output_tokens"), self._shown)
        else:
            self._end("completed", None, self._shown)

    def _end(self, status: ResponseStatus, details: StatusDetails | None, text: str) -> None:
        self._state = ResponseState.ENDED
        usage = None
        if self._model_done is not None:
            usage = response_object.text_usage(
                self._model_done.input_tokens, self._model_done.output_tokens
            )
        self._item = self._events.close(status, details, text=text, usage=usage)

    def _stop_jobs(self) -> None:
        self._context.cancel(*self.open_jobs())
        self._model_runs = False
        if self._speech is not None:
            self._speech.drop()
