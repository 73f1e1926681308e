"""The user's side of a session: microphone audio to utterances, utterances to transcripts. Pure."""

from collections.abc import Sequence

from antiphon_gateway.effects import DetectSpeech
from antiphon_gateway.endpointing import (
    Edge,
    Endpointer,
    EndpointingRule,
    SpeechEdge,
)
from antiphon_gateway.held_speech import HeldSpeech
from antiphon_gateway.input_audio import InputAudio
from antiphon_gateway.interruption import Verdict
from antiphon_gateway.partials import PartialTranscripts
from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.session_settings import SemanticVad, ServerVad, TurnDetection
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.turn_owner import TurnOwner
from antiphon_gateway.turn_timings import TurnTimings
from antiphon_gateway.user_turn import UserTurn, reads_complete
from antiphon_gateway.vad import WINDOW_SAMPLES
from antiphon_proto.messages import (
    STT_SAMPLE_RATE_HZ,
    Failed,
    ResultBody,
    Transcribe,
    Transcript,
)

MAX_BUFFER_MS = 60_000
"""Microphone audio held per session; 60 s is also the longest a worker is sent."""

_MIN_COMMIT_MS = 100
_TRANSCRIBE_BUDGET_MS = 30_000
_HARD_END_MS = {"high": 1_200, "medium": 2_000, "auto": 2_000, "low": 4_000}


class Listener:
    """Follows one session's microphone."""

    def __init__(
        self, context: SessionContext, owner: TurnOwner, detection: TurnDetection | None
    ) -> None:
        self._context = context
        self._owner = owner
        self._audio = InputAudio(MAX_BUFFER_MS)
        self._partials = PartialTranscripts(context)
        self._windows_position = 0
        self._buffer_start = 0
        self.language = ""
        """Language that the client says is spoken; empty: the server's."""
        self._turn: UserTurn | None = None
        self._transcribing: dict[str, UserTurn] = {}
        self._held = HeldSpeech(owner)
        self._detection: TurnDetection | None = None
        self._endpointer: Endpointer | None = None
        self.configure(detection)

    def configure(self, detection: TurnDetection | None, now_ms: float = 0.0) -> None:
        """Take the session's turn detection; None is push-to-talk.

        An open utterance goes on under the new rule; push-to-talk keeps its audio in the buffer.
        """
        if detection == self._detection:
            return
        self._detection = detection
        if detection is None:
            start = self._turn.start_sample if self._turn else self._audio.position_samples
            self._drop_open_turn(now_ms)
            self._endpointer = None
            self._buffer_start = start
        elif self._endpointer is None:
            self._endpointer = Endpointer(self._rule(), self._windows_position)
        else:
            self._endpointer.rule = self._rule()

    @property
    def transcribing(self) -> bool:
        """Whether a committed turn waits for its transcript."""
        return any(turn.committed for turn in self._transcribing.values())

    def open_jobs(self) -> tuple[str, ...]:
        """Return the ids of the transcriptions that have not ended."""
        return (*self._transcribing, *self._partials.open_jobs())

    @property
    def user_speaking(self) -> bool:
        """Whether an utterance is open."""
        return self._turn is not None

    @property
    def open_item_ids(self) -> tuple[str, ...]:
        """Return the id that the open utterance will have as an item, if there is one."""
        return () if self._turn is None else (self._turn.item_id,)

    def audio(self, start_sample: int, end_sample: int) -> bytes:
        """Return the microphone's PCM16 between two samples, as far as it is held."""
        return self._audio.slice(start_sample, end_sample)

    # --- audio -----------------------------------------------------------------------------

    def append(self, pcm: bytes, sample_rate_hz: int) -> None:
        """Take microphone audio. Raises InvalidEvent when a manual buffer is full."""
        added = self._audio.append(pcm, sample_rate_hz)
        self._context.emit(DetectSpeech(added))
        if self._endpointer is not None:
            return
        if self._samples_to_ms(self._audio.position_samples - self._buffer_start) > MAX_BUFFER_MS:
            self._buffer_start = self._audio.position_samples
            raise InvalidEvent(
                "input_audio_buffer_full",
                f"the input audio buffer holds at most {MAX_BUFFER_MS // 1000} s without a commit; "
                "it was cleared",
            )

    def on_speech_probabilities(self, probabilities: Sequence[float], now_ms: float) -> None:
        """Take the speech probabilities of the next windows of the microphone's audio."""
        for probability in probabilities:
            self._windows_position += WINDOW_SAMPLES
            if self._endpointer is None:
                continue
            self._endpointer.rule.min_speech_ms = self._min_speech_ms(now_ms)
            given_away = self._windows_position <= self._buffer_start
            for edge in self._endpointer.feed(0.0 if given_away else probability):
                if not self._held.take(edge, now_ms):
                    self._on_edge(edge, now_ms)
            self._judge_held(now_ms)
        self._ask_for_partial()

    def commit(self, now_ms: float) -> None:
        """The client ends the turn itself. Raises InvalidEvent when there is too little audio."""
        start = self._turn.start_sample if self._turn else self._buffer_start
        start = max(start, self._audio.start_samples)
        end = self._audio.position_samples
        if self._samples_to_ms(end - start) < _MIN_COMMIT_MS:
            raise InvalidEvent(
                "input_audio_buffer_commit_empty",
                f"the input audio buffer holds {self._samples_to_ms(end - start)} ms of audio, "
                f"a commit needs {_MIN_COMMIT_MS} ms",
            )
        if self._turn is None:
            self._context.turn_id += 1
            self._context.revision = 0
        else:
            self._tell_stopped(self._turn, end)
        turn = self._turn or UserTurn(self._context.new_id("item"), start)
        turn.timings = TurnTimings(self._context.turn_id, now_ms)
        turn.manual = True
        self._void_transcript(turn)
        self._held.drop(now_ms)
        if self._endpointer is not None:
            self._endpointer.reset()
        self._end(turn, end, now_ms)

    def clear(self, now_ms: float) -> None:
        """Drop the uncommitted audio."""
        self._drop_open_turn(now_ms)
        self._audio.clear()
        self._buffer_start = self._audio.position_samples

    # --- transcripts -----------------------------------------------------------------------

    def owns(self, job_id: str) -> bool:
        """Tell whether a job is one of this listener's."""
        return job_id in self._transcribing or self._partials.owns(job_id)

    def on_result(self, job_id: str, body: ResultBody, now_ms: float) -> None:
        """Take one result of one of this listener's jobs."""
        if self._partials.owns(job_id):
            self._partials.on_result(body)
            return
        turn = self._transcribing[job_id]
        if isinstance(body, Transcript):
            turn.transcript = body.text.strip()
        elif isinstance(body, Failed):
            del self._transcribing[job_id]
            self._on_failed(turn, body, now_ms)
        else:
            del self._transcribing[job_id]
            turn.transcript = turn.transcript or ""
            if turn.timings is not None:
                turn.timings.mark("transcript", now_ms)
            if turn.committed:
                self._owner.on_turn_transcribed(turn, now_ms)
            else:
                self._on_transcript_ahead(turn)

    def _on_failed(self, turn: UserTurn, failed: Failed, now_ms: float) -> None:
        turn.job_id = ""
        turn.transcript = None
        if not turn.committed:
            return
        self._context.send(
            events.TranscriptionFailed(
                item_id=turn.item_id,
                content_index=0,
                error=events.TranscriptionError(code=failed.code, message=failed.message),
            )
        )
        self._owner.on_turn_transcribed(turn, now_ms)

    def _on_transcript_ahead(self, turn: UserTurn) -> None:
        if self._endpointer is not None and isinstance(self._detection, SemanticVad):
            rule = self._endpointer.rule
            rule.end_silence_ms = _HARD_END_MS[self._detection.eagerness]
            if reads_complete(turn.transcript or ""):
                complete_ms = self._context.config.turn_taking.complete_silence_ms
                rule.end_silence_ms = min(rule.end_silence_ms, complete_ms)
        self._owner.on_transcript_ahead(turn)

    def _ask_for_partial(self) -> None:
        """Ask while there is speech: one under way would delay the final transcript."""
        turn, endpointer = self._turn, self._endpointer
        if turn is None or endpointer is None or endpointer.silence_ms:
            return
        if self._partials.is_due(self._windows_position):
            pcm = self._audio.slice(turn.start_sample, self._windows_position)
            self._partials.ask(pcm, self._windows_position, self.spoken_language)

    @property
    def spoken_language(self) -> str | None:
        """What is transcribed: the session's language, else the server's; None: any."""
        return self.language or self._context.config.stt.language or None

    def _transcribe(self, turn: UserTurn, until_sample: int) -> None:
        turn.job_id = self._context.submit(
            Transcribe(final=True, language=self.spoken_language),
            payload=self._audio.slice(turn.start_sample, until_sample),
            budget_ms=_TRANSCRIBE_BUDGET_MS,
            urgent=True,
        )
        self._transcribing[turn.job_id] = turn

    # --- speech over a response ------------------------------------------------------------

    def _judge_held(self, now_ms: float) -> None:
        assert self._endpointer is not None
        verdict = self._held.judge(self._windows_position, self._endpointer.silence_ms, now_ms)
        if verdict is Verdict.GO_ON:
            self._held.drop(now_ms)
            self._endpointer.reset()
            self._buffer_start = self._windows_position
        elif verdict is Verdict.STOP:
            started, *later = self._held.release()
            turn = self._owner.turn_to_reopen(started.sample)
            if turn is not None and self._can_reopen(turn):
                self.reopen(turn, now_ms)
            else:
                self._on_edge(started, now_ms)
            for edge in later:
                self._on_edge(edge, now_ms)

    def _can_reopen(self, turn: UserTurn) -> bool:
        length_ms = self._samples_to_ms(self._windows_position - turn.start_sample)
        limit_ms = self._context.config.turn_taking.max_utterance_ms
        return length_ms < limit_ms and turn.start_sample >= self._audio.start_samples

    def reopen(self, turn: UserTurn, now_ms: float) -> None:
        """The user goes on with a committed turn: one utterance holds both parts."""
        self._context.revision += 1
        self._void_transcript(turn)
        self._turn = UserTurn(
            self._context.new_id("item"), turn.start_sample, retractions=turn.retractions + 1
        )
        if self._endpointer is not None:
            self._endpointer.extend_back(turn.start_sample)
        self._announce(self._turn)
        self._owner.on_turn_reopened(turn, now_ms)

    # --- edges -----------------------------------------------------------------------------

    def _on_edge(self, edge: Edge, now_ms: float) -> None:
        if edge.kind is SpeechEdge.STARTED:
            self._on_started(edge.sample, now_ms)
            return
        turn = self._turn
        assert turn is not None
        if edge.kind is SpeechEdge.PAUSED:
            silence_ms = self._samples_to_ms(self._windows_position - edge.sample)
            turn.timings = TurnTimings(self._context.turn_id, now_ms - silence_ms)
            turn.timings.mark("pause_seen", now_ms)
            self._partials.end()
            self._transcribe(turn, self._windows_position)
        elif edge.kind is SpeechEdge.RESUMED:
            self._context.revision += 1
            self._void_transcript(turn)
            turn.timings = None
            self._restore_patience()
            self._owner.on_speech_resumed()
        else:
            self._on_ended(turn, edge.sample, now_ms)

    def _on_started(self, sample: int, now_ms: float) -> None:
        padding = self._prefix_padding_ms * STT_SAMPLE_RATE_HZ // 1000
        start = max(sample - padding, self._buffer_start, 0)
        self._context.turn_id += 1
        self._context.revision = 0
        self._turn = UserTurn(self._context.new_id("item"), start)
        self._announce(self._turn)
        self._owner.on_speech_started(now_ms)

    def _announce(self, turn: UserTurn) -> None:
        self._restore_patience()
        self._partials.begin(turn.item_id, turn.start_sample)
        self._context.send(
            events.SpeechStarted(
                audio_start_ms=self._samples_to_ms(turn.start_sample), item_id=turn.item_id
            )
        )

    def _on_ended(self, turn: UserTurn, speech_end: int, now_ms: float) -> None:
        self._tell_stopped(turn, speech_end)
        if turn.timings is None:
            turn.timings = TurnTimings(self._context.turn_id, now_ms)
        self._end(turn, self._windows_position, now_ms)

    def _tell_stopped(self, turn: UserTurn, sample: int) -> None:
        self._context.send(
            events.SpeechStopped(audio_end_ms=self._samples_to_ms(sample), item_id=turn.item_id)
        )

    def _end(self, turn: UserTurn, end_sample: int, now_ms: float) -> None:
        assert turn.timings is not None
        turn.timings.mark("endpoint", now_ms)
        turn.end_sample = end_sample
        turn.committed = True
        self._turn = None
        self._partials.end()
        self._buffer_start = end_sample
        if not turn.job_id:
            self._transcribe(turn, end_sample)
        self._owner.on_turn_committed(turn)
        if turn.job_id not in self._transcribing:
            self._owner.on_turn_transcribed(turn, now_ms)

    # --- inside ----------------------------------------------------------------------------

    def _drop_open_turn(self, now_ms: float) -> None:
        self._held.drop(now_ms)
        if self._turn is not None:
            self._tell_stopped(self._turn, self._audio.position_samples)
            self._void_transcript(self._turn)
            self._turn = None
            self._partials.end()
            self._owner.on_speech_resumed()
        if self._endpointer is not None:
            self._endpointer.reset()

    def _void_transcript(self, turn: UserTurn) -> None:
        if turn.job_id in self._transcribing:
            del self._transcribing[turn.job_id]
            self._context.cancel(turn.job_id)
        turn.job_id = ""
        turn.transcript = None

    def _restore_patience(self) -> None:
        if self._endpointer is not None:
            self._endpointer.rule.end_silence_ms = self._rule().end_silence_ms

    def _rule(self) -> EndpointingRule:
        taking = self._context.config.turn_taking
        detection = self._detection
        rule = EndpointingRule(
            threshold=taking.speech_threshold,
            min_speech_ms=taking.min_speech_ms,
            eager_silence_ms=taking.eager_silence_ms,
            end_silence_ms=_HARD_END_MS["auto"],
            max_utterance_ms=taking.max_utterance_ms,
            resume_speech_ms=taking.resume_speech_ms,
        )
        if isinstance(detection, ServerVad):
            rule.threshold = detection.threshold
            rule.end_silence_ms = detection.silence_duration_ms
        elif detection is not None:
            rule.end_silence_ms = _HARD_END_MS[detection.eagerness]
        return rule

    def _min_speech_ms(self, now_ms: float) -> int:
        taking = self._context.config.turn_taking
        judged = self._detection is not None and self._detection.interrupt_response
        if judged or not self._owner.audible(now_ms):
            return taking.min_speech_ms
        return taking.barge_in_speech_ms

    @property
    def _prefix_padding_ms(self) -> int:
        if isinstance(self._detection, ServerVad):
            return self._detection.prefix_padding_ms
        return 300

    @staticmethod
    def _samples_to_ms(samples: int) -> int:
        return samples * 1000 // STT_SAMPLE_RATE_HZ
