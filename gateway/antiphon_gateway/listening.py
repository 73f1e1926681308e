"""The user's side of a session: microphone audio to utterances, utterances to transcripts. Pure."""

from collections.abc import Sequence

from antiphon_gateway import detection_rule, interruption
from antiphon_gateway.effects import DetectSpeech, NoteTurnEnd
from antiphon_gateway.endpointing import Edge, Endpointer, EndpointingRule, SpeechEdge
from antiphon_gateway.final_transcripts import FinalTranscripts
from antiphon_gateway.held_speech import HeldSpeech
from antiphon_gateway.input_audio import InputAudio
from antiphon_gateway.partials import PartialTranscripts
from antiphon_gateway.prompt_warming import MessageEnd
from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.realtime.errors import buffer_full, commit_empty
from antiphon_gateway.realtime.session_settings import SemanticVad, TurnDetection
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.turn_end import Verdict
from antiphon_gateway.turn_end_watch import HEARD_MS, HEARD_SILENCE_MS, TurnEndWatch
from antiphon_gateway.turn_owner import TurnOwner
from antiphon_gateway.turn_timings import TurnTimings
from antiphon_gateway.user_turn import UserTurn
from antiphon_gateway.vad import WINDOW_SAMPLES
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ, Failed, ResultBody, Transcript

MAX_BUFFER_MS = 60_000
"""Microphone audio held per session; 60 s is also the longest a worker is sent."""

_MIN_COMMIT_MS = 100


class Listener:
    """Follows one session's microphone."""

    def __init__(
        self, context: SessionContext, owner: TurnOwner, detection: TurnDetection | None
    ) -> None:
        self._context = context
        self._owner = owner
        self.audio = InputAudio(MAX_BUFFER_MS, context.first_sample)
        self._partials = PartialTranscripts(context)
        self._windows_position = self._buffer_start = context.first_sample
        self._paused_at_sample = 0
        self.language = ""
        """Language that the client says is spoken; empty: the server's."""
        self._verdict = Verdict(0, "silence")
        self._turn: UserTurn | None = None
        self._held = HeldSpeech(owner)
        self.transcripts = FinalTranscripts(context)
        self._watch = TurnEndWatch(context)
        self._parts = (self.transcripts, self._partials, self._watch)
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
            start = self._turn.start_sample if self._turn else self.audio.position_samples
            self._drop_open_turn(now_ms)
            self._endpointer = None
            self._buffer_start = start
        elif self._endpointer is None:
            self._endpointer = Endpointer(self._rule(), self._windows_position)
        else:
            self._endpointer.rule = self._rule()
            if self._endpointer.paused and self._turn is not None:
                self._weigh(self._endpointer)

    @property
    def transcribing(self) -> bool:
        """Whether a committed turn waits for its transcript."""
        return self.transcripts.committed

    def open_jobs(self) -> tuple[str, ...]:
        """Return the ids of the transcriptions that have not ended."""
        return tuple(job_id for part in self._parts for job_id in part.open_jobs())

    @property
    def user_speaking(self) -> bool:
        """Whether an utterance is open."""
        return self._turn is not None

    @property
    def words_so_far(self) -> str:
        """The words of the open utterance as last heard; the newest may still change."""
        return self._partials.latest_text

    @property
    def open_item_ids(self) -> tuple[str, ...]:
        """Return the id that the open utterance will have as an item, if there is one."""
        return () if self._turn is None else (self._turn.item_id,)

    # --- audio -----------------------------------------------------------------------------

    def append(self, pcm: bytes, sample_rate_hz: int) -> None:
        """Take microphone audio. Raises InvalidEvent when a manual buffer is full."""
        added = self.audio.append(pcm, sample_rate_hz)
        self._context.emit(DetectSpeech(added))
        if self._endpointer is not None:
            return
        if self._samples_to_ms(self.audio.position_samples - self._buffer_start) > MAX_BUFFER_MS:
            self._buffer_start = self.audio.position_samples
            raise buffer_full(MAX_BUFFER_MS)

    def on_speech_probabilities(self, probabilities: Sequence[float], now_ms: float) -> None:
        """Take the speech probabilities of the next windows of the microphone's audio."""
        for probability in probabilities:
            self._windows_position += WINDOW_SAMPLES
            if self._endpointer is None:
                continue
            self._set_onset(self._endpointer.rule, now_ms)
            given_away = self._windows_position <= self._buffer_start
            for edge in self._endpointer.feed(0.0 if given_away else probability):
                if not self._held.take(edge, now_ms):
                    self._on_edge(edge, now_ms)
            self._judge_held(now_ms)
            self._ask_for_turn_end()
            if self._turn is not None or self._endpointer.hears_speech:
                self._partials.hear(probability, self._windows_position, self.audio.slice)
        self._ask_for_partial()

    def commit(self, now_ms: float) -> None:
        """The client ends the turn itself. Raises InvalidEvent when there is too little audio."""
        start = self._turn.start_sample if self._turn else self._buffer_start
        start = max(start, self.audio.start_samples)
        end = self.audio.position_samples
        if self._samples_to_ms(end - start) < _MIN_COMMIT_MS:
            raise commit_empty(self._samples_to_ms(end - start), _MIN_COMMIT_MS)
        if self._turn is None:
            self._context.turn_id += 1
            self._context.revision = 0
        else:
            self._tell_stopped(self._turn, end)
        turn = self._turn or UserTurn(self._context.new_id("item"), start)
        turn.timings = TurnTimings(self._context.turn_id, now_ms)
        turn.manual = True
        self.transcripts.void(turn)
        self._held.drop(now_ms)
        if self._endpointer is not None:
            self._endpointer.reset()
        self._end(turn, end, now_ms)

    def clear(self, now_ms: float) -> None:
        """Drop the uncommitted audio."""
        self._drop_open_turn(now_ms)
        self.audio.clear()
        self._buffer_start = self.audio.position_samples

    # --- evidence --------------------------------------------------------------------------

    def owns(self, job_id: str) -> bool:
        """Tell whether a job is one of this listener's."""
        return any(part.owns(job_id) for part in self._parts)

    def on_result(self, job_id: str, body: ResultBody, now_ms: float) -> None:
        """Take one result of one of this listener's jobs."""
        if self._partials.owns(job_id):
            self._partials.on_result(job_id, body)
            self._settle_words(now_ms)
        elif self._watch.owns(job_id):
            self._watch.on_result(body)
            self._reconsider(now_ms)
        else:
            if isinstance(body, Transcript):
                self._watch.take_manner(body.language, body.average_log_probability)
            turn = self.transcripts.on_result(job_id, body)
            if turn is not None and (turn.committed or not isinstance(body, Failed)):
                self._on_transcribed(turn, now_ms)

    def on_message_end(self, end: MessageEnd, now_ms: float) -> None:
        """Take the language model's word on whether the user's message ends after a text.

        It is evidence when that has the words of the pause that lasts, and ignored otherwise.
        """
        if self._turn is not None:
            self._watch.take_message_end(end)
            self._reconsider(now_ms)
            self._ask_for_turn_end()

    def _on_transcribed(self, turn: UserTurn, now_ms: float) -> None:
        if turn.timings is not None and turn.transcript is not None:
            turn.timings.mark("transcript", now_ms)
        if turn.committed:
            self._owner.on_turn_transcribed(turn, now_ms)
            return
        self._watch.take_transcript(turn.transcript or "")
        self._owner.on_transcript_ahead(turn, unfinished=self._watch.hangs)
        self._reconsider(now_ms)

    def _settle_words(self, now_ms: float) -> None:
        """In a pause, take the partial transcript that has all words or ask for the final one."""
        turn, endpointer = self._turn, self._endpointer
        if turn is None or endpointer is None or not endpointer.paused or self._partials.awaited:
            return
        if turn.job_id or turn.transcript is not None:
            return
        heard = self._partials.latest
        if heard is None or not self._partials.covers(self._paused_at_sample):
            self._transcribe(turn, self._windows_position)
            return
        turn.transcript = self._partials.latest_text
        self._watch.take_manner(heard.language, heard.average_log_probability)
        self._on_transcribed(turn, now_ms)

    def _reconsider(self, now_ms: float) -> None:
        """Weigh the evidence again; it may end the turn at once."""
        endpointer = self._endpointer
        if endpointer is None or not endpointer.paused or self._turn is None:
            return
        self._weigh(endpointer)
        for edge in endpointer.end_if_over():
            self._on_edge(edge, now_ms)

    def _weigh(self, endpointer: Endpointer) -> None:
        if isinstance(self._detection, SemanticVad):
            self._verdict = self._watch.verdict(self._detection.eagerness)
            endpointer.rule.end_silence_ms = self._verdict.silence_ms

    def _ask_for_turn_end(self) -> None:
        endpointer = self._endpointer
        if (
            endpointer is not None
            and self._turn is not None
            and endpointer.paused
            and not endpointer.hears_speech
            and isinstance(self._detection, SemanticVad)
        ):
            needed_ms = endpointer.rule.end_silence_ms
            self._watch.ask_if_due(endpointer.silence_ms, needed_ms, self._sound_of_pause)

    def _sound_of_pause(self) -> bytes:
        assert self._turn is not None
        until = self._paused_at_sample + HEARD_SILENCE_MS * STT_SAMPLE_RATE_HZ // 1000
        start = max(self._turn.start_sample, until - HEARD_MS * STT_SAMPLE_RATE_HZ // 1000)
        return self.audio.slice(start, until)

    def _ask_for_partial(self) -> None:
        if self._turn is None or self._endpointer is None:
            return
        in_speech = not self._endpointer.silence_ms
        position = self._windows_position
        self._partials.ask_if_due(
            position, self.audio.slice, self.spoken_language, in_speech=in_speech
        )

    @property
    def spoken_language(self) -> str | None:
        """What is transcribed: the session's language, else the server's; None: any."""
        return self.language or self._context.config.stt.language or None

    def _transcribe(self, turn: UserTurn, until_sample: int) -> None:
        turn.words_before, start = self._partials.committed(turn.item_id, turn.start_sample)
        self.transcripts.ask(turn, self.audio.slice(start, until_sample), self.spoken_language)

    # --- speech over a response ------------------------------------------------------------

    def _judge_held(self, now_ms: float) -> None:
        assert self._endpointer is not None
        verdict = self._held.judge(self._windows_position, self._endpointer, now_ms)
        if verdict is interruption.Verdict.GO_ON:
            self._held.drop(now_ms)
            self._endpointer.reset()
            self._buffer_start = self._windows_position
        elif verdict is interruption.Verdict.STOP:
            started, *later = self._held.release()
            turn = self._owner.turn_to_reopen(started.sample)
            if turn is None:
                self._on_edge(started, now_ms)
            else:
                self.reopen(turn, started.sample, now_ms)
            for edge in later:
                self._on_edge(edge, now_ms)

    def reopen(self, turn: UserTurn, sample: int, now_ms: float) -> None:
        """The user goes on with a committed turn at `sample`: one utterance holds both parts."""
        self._context.revision += 1
        self.transcripts.void(turn)
        item_id, count = self._context.new_id("item"), turn.retractions + 1
        self._turn = UserTurn(item_id, turn.start_sample, retractions=count)
        if self._endpointer is not None:
            self._endpointer.extend_back(turn.start_sample)
        self._announce(self._turn)
        self._watch.resumed(self._samples_to_ms(sample - self._paused_at_sample))
        self._owner.on_turn_reopened(turn, now_ms)

    # --- edges -----------------------------------------------------------------------------

    def _on_edge(self, edge: Edge, now_ms: float) -> None:
        if edge.kind is SpeechEdge.STARTED:
            self._on_started(edge.sample, now_ms)
            return
        turn = self._turn
        assert turn is not None
        if edge.kind is SpeechEdge.PAUSED:
            self._on_paused(turn, edge.sample, now_ms)
        elif edge.kind is SpeechEdge.RESUMED:
            self._context.revision += 1
            self.transcripts.void(turn)
            turn.timings = None
            self._watch.resumed(self._samples_to_ms(edge.sample - self._paused_at_sample))
            self._restore_patience()
            self._owner.on_speech_resumed()
        else:
            self._on_ended(turn, edge.sample, now_ms)

    def _on_paused(self, turn: UserTurn, speech_end: int, now_ms: float) -> None:
        silence_ms = self._samples_to_ms(self._windows_position - speech_end)
        heard = self._context.capture.at(speech_end)
        turn.timings = TurnTimings(self._context.turn_id, now_ms - silence_ms, heard)
        turn.timings.mark("pause_seen", now_ms)
        self._paused_at_sample = speech_end
        self._partials.pause(speech_end)
        self._watch.begin()
        self._settle_words(now_ms)

    def _on_started(self, sample: int, now_ms: float) -> None:
        padding = detection_rule.prefix_padding_ms(self._detection) * STT_SAMPLE_RATE_HZ // 1000
        start = max(sample - padding, self._buffer_start, 0)
        self._context.turn_id += 1
        self._context.revision = 0
        self._turn = UserTurn(self._context.new_id("item"), start)
        self._announce(self._turn)
        self._owner.on_speech_started(now_ms)

    def _announce(self, turn: UserTurn) -> None:
        self._watch.begin()
        self._restore_patience()
        self._partials.begin(turn.item_id, turn.start_sample)
        started_ms = self._samples_to_ms(turn.start_sample)
        self._context.send(events.SpeechStarted(audio_start_ms=started_ms, item_id=turn.item_id))

    def _on_ended(self, turn: UserTurn, speech_end: int, now_ms: float) -> None:
        self._tell_stopped(turn, self._windows_position)
        if turn.timings is None:
            turn.timings = TurnTimings(self._context.turn_id, now_ms)
        silence_ms = self._samples_to_ms(self._windows_position - speech_end)
        self._context.emit(NoteTurnEnd(self._context.turn_id, self._verdict.reason, silence_ms))
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
        self._watch.end()
        self._buffer_start = end_sample
        if not turn.job_id and turn.transcript is None:
            self._transcribe(turn, end_sample)
        self._owner.on_turn_committed(turn)
        if not self.transcripts.waits(turn):
            self._owner.on_turn_transcribed(turn, now_ms)

    def _drop_open_turn(self, now_ms: float) -> None:
        self._held.drop(now_ms)
        if self._turn is not None:
            self._tell_stopped(self._turn, self.audio.position_samples)
            self.transcripts.void(self._turn)
            self._turn = None
            self._partials.end()
            self._watch.end()
            self._owner.on_speech_resumed()
        if self._endpointer is not None:
            self._endpointer.reset()

    def _restore_patience(self) -> None:
        rule = self._rule()
        self._verdict = Verdict(rule.end_silence_ms, "silence")
        if self._endpointer is not None:
            self._endpointer.rule.end_silence_ms = rule.end_silence_ms

    def _rule(self) -> EndpointingRule:
        return detection_rule.endpointing_rule(self._detection, self._context.config.turn_taking)

    def _set_onset(self, rule: EndpointingRule, now_ms: float) -> None:
        taking, audible = self._context.config.turn_taking, self._owner.audible(now_ms)
        detection_rule.set_onset(rule, self._detection, taking, audible=audible)

    @staticmethod
    def _samples_to_ms(samples: int) -> int:
        return samples * 1000 // STT_SAMPLE_RATE_HZ
