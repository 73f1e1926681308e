"""Partial transcripts while the user speaks: when to ask for one, which words are stable. Pure.

A word is stable once two successive hypotheses agree on it and on all before it (LocalAgreement-2:
Liu et al. 2020, Macháček et al. 2023), but never the last word heard, which may be half a word.
Stable words are told once and never changed. Of a long utterance only what follows the committed
words (`committed_words.py`) is transcribed again.
"""

import re
from collections.abc import Callable

from antiphon_gateway.committed_words import CommittedWords
from antiphon_gateway.prompt_warming import has_room_to_spare
from antiphon_gateway.realtime.server_events import TranscriptionDelta, TranscriptPartial
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.sound_level import SoundLevel
from antiphon_gateway.vad import WINDOW_SAMPLES
from antiphon_proto.messages import (
    STT_SAMPLE_RATE_HZ,
    Done,
    Failed,
    ResultBody,
    Transcribe,
    Transcript,
)

_BUDGET_MS = 2_000
_REST = 2
"""Times as long as the last partial took pass before the next: a busy stage makes fewer."""
_SAMPLES_PER_MS = STT_SAMPLE_RATE_HZ // 1000
_TAIL_SAMPLES = 128 * _SAMPLES_PER_MS
"""The detector hears speech for about 0.1 s after its last sound: transcripts of 92 utterances
without the last 0 to 128 ms have as many errors as those with the silence behind them."""
_NOT_IN_WORDS = re.compile(r"[^\w']+")

Slice = Callable[[int, int], bytes]
"""Returns the microphone's PCM16 at 16 kHz between two samples."""


class PartialTranscripts:
    """The partial transcripts of one session's open utterance."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._committed = CommittedWords(context)
        self._item_id = ""
        self._start_sample = 0
        self._asked_at_sample = 0
        self._answered_at_sample: int | None = 0
        self._job_id = ""
        self._told: list[str] = []
        self._window_start = 0
        self._newest: list[str] = []
        self._compared: list[str] = []
        self._compared_at_sample = 0
        self._heard_until_sample = 0
        self._level = SoundLevel()
        self.latest: Transcript | None = None
        """The latest hypothesis as it came."""

    def begin(self, item_id: str, sample: int) -> None:
        """A new utterance began at `sample`."""
        self.end()
        self._committed.begin(item_id, sample)
        self._item_id = item_id
        self._start_sample = sample
        self._asked_at_sample = self._answered_at_sample = self._heard_until_sample = sample
        self._told = []
        self._open_window()

    def pause(self, speech_end_sample: int | None = None) -> None:
        """Ask for no more; a partial under way is awaited when it covers the speech."""
        if not self._job_id:
            return
        waits = self._context.config.turn_taking.partial_as_final
        waits = waits and not self._context.load("stt").waiting and speech_end_sample is not None
        if waits and self._asked_at_sample + _TAIL_SAMPLES >= (speech_end_sample or 0):
            return
        self._context.cancel(self._job_id)
        self._job_id = ""

    def end(self) -> None:
        """No more partials of this utterance; what is known of it stays."""
        self.pause()
        self._committed.end()

    # --- what is known ---------------------------------------------------------------------

    def committed(self, item_id: str, start_sample: int) -> tuple[str, int]:
        """Return the committed words of an utterance and the sample where its others begin."""
        return self._committed.of(item_id, start_sample)

    def covers(self, speech_end_sample: int) -> bool:
        """Tell whether the latest hypothesis has all words of speech that ends there."""
        wanted = self._context.config.turn_taking.partial_as_final
        heard_until = self._heard_until_sample + _TAIL_SAMPLES
        return wanted and heard_until >= speech_end_sample and bool(self._newest)

    @property
    def awaited(self) -> bool:
        """Whether a hypothesis is on its way."""
        return bool(self._job_id)

    @property
    def latest_text(self) -> str:
        """The utterance as last heard: its committed words and the latest hypothesis."""
        committed, _ = self._committed.of(self._item_id, 0)
        return f"{committed} {' '.join(self._newest)}".strip()

    @property
    def stable(self) -> str:
        """The words of the utterance that will not change."""
        return " ".join(self._told)

    # --- jobs ------------------------------------------------------------------------------

    def hear(self, probability: float, sample: int, audio: Slice) -> None:
        """Take the speech probability of the window that ends at `sample`."""
        self._committed.hear(probability, sample)
        self._level.hear(audio(sample - WINDOW_SAMPLES, sample), sample)

    def ask_if_due(
        self, sample: int, audio: Slice, language: str | None, *, in_speech: bool
    ) -> None:
        """Ask for what is due when the microphone is at `sample`."""
        if stretch := self._committed.due(sample):
            self._committed.ask(audio(*stretch), sample, language)
        if in_speech and (self._is_due(sample) or self._may_be_last()):
            _, start = self._committed.of(self._item_id, self._start_sample)
            self._asked_at_sample = sample
            self._answered_at_sample = None
            self._job_id = self._context.submit(
                Transcribe(
                    final=False, language=language, prompt=self._context.transcription_prompt
                ),
                payload=audio(start, sample),
                budget_ms=_BUDGET_MS,
            )

    def open_jobs(self) -> tuple[str, ...]:
        """Return the ids of the jobs that have not ended."""
        own = (self._job_id,) if self._job_id else ()
        return (*own, *self._committed.open_jobs())

    def owns(self, job_id: str) -> bool:
        """Tell whether a job is one of these."""
        return bool(job_id) and job_id in self.open_jobs()

    def on_result(self, job_id: str, body: ResultBody) -> None:
        """Take one result of a job. A failure, or no words, costs one partial and is not told."""
        if job_id != self._job_id:
            words = self._committed.on_result(body)
            if words is not None:
                self._commit(words.split())
        elif isinstance(body, Done | Failed):
            self._job_id = ""
        elif isinstance(body, Transcript) and body.text.strip():
            self._heard_until_sample = self._asked_at_sample
            self.latest = body
            self._take(body.text.split())

    def _is_due(self, sample: int) -> bool:
        interval_ms = self._context.config.turn_taking.partial_interval_ms
        if not interval_ms or self._job_id:
            return False
        if self._answered_at_sample is None:
            self._answered_at_sample = sample
        took = self._answered_at_sample - self._asked_at_sample
        interval = interval_ms * _SAMPLES_PER_MS
        return sample - self._asked_at_sample >= max(interval, (1 + _REST) * took)

    def _may_be_last(self) -> bool:
        """Tell whether the voice has just fallen and there is room to see what was said."""
        taking, fell_at = self._context.config.turn_taking, self._level.fell_at_sample
        return (
            taking.partial_when_quiet
            and bool(taking.partial_interval_ms)
            and not self._job_id
            and fell_at is not None
            and fell_at > self._asked_at_sample
            and has_room_to_spare(self._context.load("stt"))
        )

    # --- words -----------------------------------------------------------------------------

    def _commit(self, words: list[str]) -> None:
        """The words of the window's audio up to the cut are final; a new window begins there."""
        self.pause()
        self._tell(words)
        self._open_window()

    def _take(self, words: list[str]) -> None:
        """Take a hypothesis. One that heard hardly more than the last agrees with it anyway."""
        self._newest = words
        interval = self._context.config.turn_taking.partial_interval_ms * _SAMPLES_PER_MS
        if self._compared and self._heard_until_sample - self._compared_at_sample < interval:
            self._tell([], words)
            return
        agreed = 0
        for word, before in zip(words[:-1], self._compared, strict=False):
            if _plain(word) != _plain(before):
                break
            agreed += 1
        self._compared, self._compared_at_sample = words, self._heard_until_sample
        self._tell(words[:agreed], words)

    def _tell(self, stable: list[str], words: list[str] | None = None) -> None:
        """Tell what is newly stable of the window's words, and to our own clients the rest."""
        told = len(self._told) - self._window_start
        fresh = stable[told:]
        space = " " if self._told else ""
        self._told += fresh
        if self._context.extensions:
            rest = (words or [])[max(told, len(stable)) :]
            self._context.send(
                TranscriptPartial(
                    item_id=self._item_id, stable=self.stable, unstable=" ".join(rest)
                )
            )
        elif fresh:
            self._context.send(
                TranscriptionDelta(
                    item_id=self._item_id, content_index=0, delta=space + " ".join(fresh)
                )
            )

    def _open_window(self) -> None:
        self._window_start = len(self._told)
        self._newest = []
        self._compared = []


def _plain(word: str) -> str:
    return _NOT_IN_WORDS.sub("", word.lower())
