"""Model text to paced speech: clauses, one synthesis job each, their audio in order.

Bounds: no synthesis job begins while two clauses are not through or more than `_AHEAD_MS` of audio
waits to be sent; the text waiting is bounded by the model's output limit.
"""

import dataclasses
from collections import deque
from typing import NamedTuple

import msgspec

from antiphon_gateway.clauses import ClauseSplitter, is_open
from antiphon_gateway.effects import NoteUnderrun
from antiphon_gateway.playout import Playout
from antiphon_gateway.runway import CHARACTER_MS, Runway
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.speech_text import speakable
from antiphon_gateway.spoken_text import SpokenState, SpokenText
from antiphon_proto.audio import Resampler
from antiphon_proto.messages import AudioDelta, SpokenWord, Synthesize

_MAX_CLAUSES = 2
_AHEAD_MS = 4_000
_BUDGET_MS = 30_000
_CONTEXT_CHARACTERS = 100
_SOMETHING_FOLLOWS = " and so"
"""Stands for words that are not known yet: with anything behind it, a clause does not fall."""


class TextShown(NamedTuple):
    """The text of a clause, due just before its first sample."""

    text: str


class AudioOut(NamedTuple):
    """Audio that is due now. `first_sample` counts from the start of the response."""

    first_sample: int
    pcm: bytes


class ClauseState(msgspec.Struct, frozen=True, array_like=True):
    """A clause as it was asked for."""

    text: str
    speech: str
    job_id: str
    command: Synthesize | None


class SpeechState(msgspec.Struct, frozen=True, array_like=True):
    """What is to be known of a pipeline to go on in another gateway."""

    clauses: tuple[ClauseState, ...]
    """All that were begun, in order."""
    spoken: tuple[SpokenState, ...]
    sent_samples: int
    sentence: str

    @property
    def asked_characters(self) -> int:
        """Characters of the text that the clauses hold."""
        return sum(len(clause.text) for clause in self.clauses)

    def complete(self, received: int) -> tuple[int, int]:
        """Return how many clauses lie within the first samples, and where the next one begins."""
        first_sample = 0
        for count, spoken in enumerate(self.spoken):
            if not spoken.ended or first_sample + spoken.samples > received:
                return count, first_sample
            first_sample += spoken.samples
        return len(self.spoken), first_sample


@dataclasses.dataclass(slots=True)
class _Clause:
    text: str
    speech: str
    job_id: str
    command: Synthesize | None = None
    shown: bool = False
    source_hz: int = 0
    resampler: Resampler | None = None
    audio: deque[bytes] = dataclasses.field(default_factory=deque)
    words: deque[SpokenWord] = dataclasses.field(default_factory=deque)
    word_end: int = 0
    received_ms: float = 0.0
    done: bool = False
    begun: bool = False
    asked_ms: float = 0.0
    began_ms: float | None = None
    """When its first audio was there."""
    first_ms: float = 0.0
    """How much that was."""
    measured: bool = False

    @property
    def missing_ms(self) -> float:
        """About how much of its audio is still to come."""
        return 0.0 if self.done else max(0.0, len(self.speech) * CHARACTER_MS - self.received_ms)


class SpeechPipeline:
    """The speech of one response item, at one sample rate."""

    def __init__(
        self,
        context: SessionContext,
        *,
        voice: str,
        speed: float,
        sample_rate_hz: int,
        language: str = "",
    ) -> None:
        playout = context.config.playout
        self.playout = Playout(
            sample_rate_hz, playout.lead_ms, playout.unreported_lead_ms, context.round_trip
        )
        self.spoken = SpokenText(sample_rate_hz)
        self.sample_rate_hz = sample_rate_hz
        self._context = context
        self._voice = voice
        self._language = language
        self._speed = speed
        self._splitter = ClauseSplitter(
            language or "en", phrase_words=context.config.tts.first_clause_words
        )
        self._runway = Runway()
        self._sentence = ""
        self._waiting: deque[str] = deque()
        self._clauses: deque[_Clause] = deque()
        self._marks: deque[tuple[int, str]] = deque()
        self._text_finished = False
        self._jobs_started = 0
        self._asked: list[ClauseState] = []
        self._skip_samples = 0

    @property
    def has_clause(self) -> bool:
        """Whether a first clause was found in the text."""
        return bool(self._waiting) or self._jobs_started > 0

    @property
    def underruns(self) -> int:
        """How often the listener had heard all that was sent while more was to come."""
        return self._runway.underruns

    @property
    def finished(self) -> bool:
        """Whether all text was given, spoken and handed out."""
        return (
            self._text_finished
            and not self._waiting
            and not self._clauses
            and not self._marks
            and not self.playout.queued_ms
        )

    def feed(self, text: str) -> None:
        """Take more of the model's text."""
        self._waiting.extend(self._splitter.feed(text))

    def finish_text(self) -> None:
        """The model has said everything."""
        self._waiting.extend(self._splitter.finish())
        self._text_finished = True

    def on_audio(self, job_id: str, body: AudioDelta, pcm: bytes) -> None:
        """Take audio of one of the synthesis jobs."""
        clause = self._find(job_id)
        if clause.resampler is None or body.sample_rate_hz != clause.source_hz:
            self._flush(clause)
            clause.source_hz = body.sample_rate_hz
            clause.resampler = Resampler(body.sample_rate_hz, self.sample_rate_hz)
        clause.audio.append(clause.resampler.feed(pcm))
        clause.received_ms += len(pcm) / 2 * 1000 / body.sample_rate_hz
        clause.words.extend(body.words)

    def on_end(self, job_id: str) -> None:
        """A synthesis job has ended."""
        clause = self._find(job_id)
        self._flush(clause)
        clause.done = True

    def open_jobs(self) -> tuple[str, ...]:
        """Return the ids of the synthesis jobs that have not ended."""
        return tuple(clause.job_id for clause in self._clauses if not clause.done)

    def drop(self) -> None:
        """Forget what was not sent; the jobs are the caller's to end."""
        self._clauses.clear()
        self._waiting.clear()
        self._marks.clear()
        self.playout.drop()

    def finish_word(self, now_ms: float) -> AudioOut | None:
        """Return the rest of the word that is being handed out, as far as it is made; forget all
        behind it."""
        first_sample = self.playout.sent_samples
        pcm = self.playout.take_until(self.spoken.word_end(first_sample), now_ms)
        self.drop()
        return AudioOut(first_sample, pcm) if pcm else None

    def advance(self, now_ms: float, *, released: bool) -> list[TextShown | AudioOut]:
        """Start what can be started and, once released, return what is due."""
        due: list[TextShown | AudioOut] = []
        while True:
            self._measure(now_ms)
            self._queue_audio()
            if released:
                due += self._due(now_ms)
            self._set_pace(now_ms)
            if not self._start_next(now_ms):
                return due

    def state(self) -> SpeechState:
        """Return what is to be known to go on in another gateway."""
        return SpeechState(
            tuple(self._asked), self.spoken.state(), self.playout.sent_samples, self._sentence
        )

    def restore(
        self,
        state: SpeechState,
        shown_characters: int,
        received: int,
        now_ms: float,
        *,
        ended: bool,
    ) -> None:
        """Go on behind the first `received` samples; what was shown is not shown again."""
        self._asked, self._sentence = list(state.clauses), state.sentence
        self.playout.begin_at(received)
        if ended:
            self.spoken.restore(state.spoken)
            return
        whole, first_sample = state.complete(received)
        self.spoken.restore(state.spoken[:whole])
        self._skip_samples = received - first_sample
        characters = sum(len(clause.text) for clause in state.clauses[:whole])
        for kept in state.clauses[whole:]:
            characters += len(kept.text)
            clause = _Clause(kept.text, kept.speech, kept.job_id, done=kept.command is None)
            clause.shown = characters <= shown_characters
            if kept.command is not None:
                self._ask(clause, kept.command, now_ms)
            self._clauses.append(clause)

    def _rest_of(self, pcm: bytes) -> bytes:
        """Leave out what the client has from another gateway."""
        skipped = min(self._skip_samples, len(pcm) // 2)
        self._skip_samples -= skipped
        return pcm[2 * skipped :]

    def _set_pace(self, now_ms: float) -> None:
        """Have the text cut early while the listener has little audio left."""
        if not self._context.config.tts.hurry or self._text_finished or not self._jobs_started:
            return
        ahead_ms = self._ahead_ms(now_ms)
        ahead_ms += sum(len(text) * CHARACTER_MS for text in self._waiting)
        self._waiting.extend(self._splitter.hurry(self._runway.is_short(ahead_ms)))

    def _ahead_ms(self, now_ms: float) -> float:
        """Return how long the listener has something to hear, of the clauses that were begun."""
        missing_ms = sum(clause.missing_ms for clause in self._clauses)
        return self.playout.lead_ms(now_ms) + self.playout.queued_ms + missing_ms

    def _measure(self, now_ms: float) -> None:
        """Learn how long clauses take: to their first audio, and then for each second of it."""
        for clause in self._clauses:
            if clause.received_ms and clause.began_ms is None:
                clause.began_ms, clause.first_ms = now_ms, clause.received_ms
                self._runway.note_latency(now_ms - clause.asked_ms)
            if clause.done and clause.began_ms is not None and not clause.measured:
                clause.measured = True
                made_ms = clause.received_ms - clause.first_ms
                self._runway.note_pace(now_ms - clause.began_ms, made_ms)

    def _start_next(self, now_ms: float) -> bool:
        """Begin the next clause, if there is one and room for it."""
        if (
            not self._waiting
            or len(self._clauses) >= _MAX_CLAUSES
            or self.playout.queued_ms >= _AHEAD_MS
        ):
            return False
        text = self._waiting.popleft()
        speech = self._speakable(text)
        clause = _Clause(text, speech, job_id="", done=not speech)
        if speech:
            self._ask(clause, self._command(text, speech), now_ms)
        self._clauses.append(clause)
        self._asked.append(ClauseState(text, speech, clause.job_id, clause.command))
        return True

    def _ask(self, clause: _Clause, command: Synthesize, now_ms: float) -> None:
        clause.command = command
        clause.job_id = self._context.submit(
            command,
            budget_ms=_BUDGET_MS,
            urgent=self._jobs_started == 0,
            patience_ms=self._runway.patience_ms(self._ahead_ms(now_ms)),
            job_id=clause.job_id,
        )
        clause.asked_ms = now_ms
        self._jobs_started += 1

    def _command(self, text: str, speech: str) -> Synthesize:
        """Return the synthesis of a clause within its sentence."""
        preceding, following = self._sentence, ""
        if is_open(text) and not (self._text_finished and not self._upcoming.strip()):
            # The last of them may be half a word.
            known = self._upcoming.split(" ")[:-1] if not self._waiting else self._upcoming.split()
            following = f" {self._speakable(' '.join(known[:2]))}".rstrip() or _SOMETHING_FOLLOWS
        self._sentence = f"{preceding}{speech} "[-_CONTEXT_CHARACTERS:] if following else ""
        if not self._context.config.tts.sentence_context:
            preceding = following = ""
        return Synthesize(
            text=speech,
            voice=self._voice,
            speed=self._speed,
            preceding=preceding,
            following=following,
            language=self._language,
        )

    def _speakable(self, text: str) -> str:
        return speakable(text, self._language or "en")

    @property
    def _upcoming(self) -> str:
        """What comes behind the clause that is begun next, as far as it is known."""
        return self._waiting[0] if self._waiting else self._splitter.rest

    def _queue_audio(self) -> None:
        """Move the audio of the clauses that are next in order into the playout queue."""
        while self._clauses:
            clause = self._clauses[0]
            if not clause.begun and (clause.audio or clause.done):
                clause.begun = True
                if not clause.shown:
                    self._marks.append((self.spoken.samples, clause.text))
                self.spoken.begin_clause(clause.text, clause.speech)
            self._place_words(clause)
            while clause.audio:
                pcm = clause.audio.popleft()
                self.spoken.add_samples(len(pcm) // 2)
                self.playout.add(self._rest_of(pcm))
            if not clause.done:
                return
            self.spoken.end_clause()
            self._clauses.popleft()

    def _place_words(self, clause: _Clause) -> None:
        """Tell where the words of the clause begun last are; a job made again repeats some."""
        while clause.words:
            word = clause.words.popleft()
            if word.end_sample < clause.word_end:
                continue
            start, end = (
                edge * self.sample_rate_hz // clause.source_hz
                for edge in (clause.word_end + word.pause_samples, word.end_sample)
            )
            clause.word_end = word.end_sample
            self.spoken.add_word(word.end_character, start, end)

    def _due(self, now_ms: float) -> list[TextShown | AudioOut]:
        first_sample = self.playout.sent_samples
        gap_ms = self._runway.gap_ms(now_ms) if self.playout.queued_ms else 0.0
        pcm = self.playout.take(now_ms)
        due: list[TextShown | AudioOut] = []
        if pcm:
            if gap_ms:
                self._context.emit(NoteUnderrun(self._context.turn_id, gap_ms))
            self._runway.note_sent(now_ms + self.playout.lead_ms(now_ms), gap_ms)
            due.append(AudioOut(first_sample, pcm))
        reached = self.playout.sent_samples
        nothing_queued = not self.playout.queued_ms
        while self._marks and (self._marks[0][0] < reached or nothing_queued):
            due.insert(len(due) - bool(pcm), TextShown(self._marks.popleft()[1]))
        return due

    @staticmethod
    def _flush(clause: _Clause) -> None:
        """Take what the clause's resampler holds back."""
        if clause.resampler is not None:
            clause.audio.append(clause.resampler.feed(b"", last=True))

    def _find(self, job_id: str) -> _Clause:
        return next(clause for clause in self._clauses if clause.job_id == job_id)
