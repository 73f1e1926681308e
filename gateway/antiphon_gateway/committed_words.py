"""The beginning of a long utterance: transcribed once, then left alone. Pure.

Whisper hears 30 s at a time and its cost grows with what it hears. So when an utterance is long its
audio is cut where the voice activity is least, the words before the cut are transcribed in a job of
their own, and all later jobs begin at the cut. A cut in a pause halves no word, which is why word
times are not needed; where there is no pause the quietest moment is the best there is.
"""

from collections import deque

from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.vad import WINDOW_SAMPLES
from antiphon_proto.messages import (
    STT_SAMPLE_RATE_HZ,
    Done,
    ResultBody,
    Transcribe,
    Transcript,
)

LEAST_SAMPLES = 3 * STT_SAMPLE_RATE_HZ
"""Shorter pieces are heard worse."""
MOST_SAMPLES = 8 * STT_SAMPLE_RATE_HZ
"""A shorter utterance is transcribed as a whole. Of 12 s Whisper sometimes leaves out the last
sentence, over the short window."""
_QUIET_WINDOWS = 5
"""160 ms: a pause between words, longer than the closure of a plosive."""
_BUDGET_MS = 10_000


class CommittedWords:
    """The committed words of one session's newest utterance."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._item_id = ""
        self._text = ""
        self._until_sample = 0
        self._newest: deque[float] = deque(maxlen=_QUIET_WINDOWS)
        self._quietest = 1.0
        self._cut_sample = 0
        self._asked_at_sample = 0
        self._asked_cut_sample = 0
        self._job_id = ""
        self._job_text = ""

    def begin(self, item_id: str, sample: int) -> None:
        """A new utterance began at `sample`."""
        self.end()
        self._item_id = item_id
        self._text = ""
        self._asked_at_sample = sample
        self._seek_cut(sample)

    def end(self) -> None:
        """No more of this utterance is committed; what is stays."""
        if self._job_id:
            self._context.cancel(self._job_id)
        self._job_id = ""

    def of(self, item_id: str, start_sample: int) -> tuple[str, int]:
        """Return the committed words of an utterance and the sample where its others begin."""
        return (self._text, self._until_sample) if item_id == self._item_id else ("", start_sample)

    def hear(self, probability: float, sample: int) -> None:
        """Take the speech probability of the window that ends at `sample`."""
        self._newest.append(probability)
        speech = sum(self._newest) / len(self._newest)
        middle = sample - len(self._newest) * WINDOW_SAMPLES // 2
        # The later of two quiet moments leaves less to transcribe again.
        if middle - self._until_sample >= LEAST_SAMPLES and speech <= self._quietest:
            self._quietest = speech
            self._cut_sample = middle

    def due(self, sample: int) -> tuple[int, int] | None:
        """Return first and last sample to transcribe for good, when the microphone is at one."""
        long_enough = sample - self._until_sample >= MOST_SAMPLES
        if self._job_id or not long_enough or sample - self._asked_at_sample < LEAST_SAMPLES:
            return None
        return self._until_sample, self._cut_sample

    def ask(self, pcm: bytes, sample: int, language: str | None) -> None:
        """Ask for the words up to the cut; `sample`: where the microphone is."""
        self._asked_at_sample = sample
        self._asked_cut_sample = self._cut_sample
        self._job_text = ""
        self._job_id = self._context.submit(
            Transcribe(final=True, language=language, prompt=self._context.transcription_prompt),
            payload=pcm,
            budget_ms=_BUDGET_MS,
        )

    def open_jobs(self) -> tuple[str, ...]:
        """Return the id of the job that has not ended, if any."""
        return (self._job_id,) if self._job_id else ()

    def on_result(self, body: ResultBody) -> str | None:
        """Take one result; returns the words committed by it. A failure is tried again later."""
        if isinstance(body, Transcript):
            self._job_text = body.text.strip()
            return None
        self._job_id = ""
        if not isinstance(body, Done):
            return None
        self._text = f"{self._text} {self._job_text}".strip()
        self._seek_cut(self._asked_cut_sample)
        return self._job_text

    def _seek_cut(self, from_sample: int) -> None:
        self._until_sample = from_sample
        self._cut_sample = from_sample
        self._quietest = 1.0
        self._newest.clear()
