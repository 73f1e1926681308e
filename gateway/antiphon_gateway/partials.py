"""Partial transcripts while the user speaks: when to ask for one, which words are stable. Pure.

A word is stable once two successive hypotheses agree on it and on all before it (LocalAgreement-2:
Liu et al. 2020, Macháček et al. 2023), but never the last word heard, which may be half a word.
"""

import re

from antiphon_gateway.realtime.server_events import TranscriptPartial
from antiphon_gateway.session_context import SessionContext
from antiphon_proto.messages import (
    STT_SAMPLE_RATE_HZ,
    Done,
    Failed,
    ResultBody,
    Transcribe,
    Transcript,
)

_BUDGET_MS = 2_000
_NOT_IN_WORDS = re.compile(r"[^\w']+")


class PartialTranscripts:
    """The partial transcripts of one session's open utterance."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._item_id = ""
        self._asked_at_sample = 0
        self._job_id = ""
        self._stable: list[str] = []
        self._previous: list[str] = []

    def begin(self, item_id: str, sample: int) -> None:
        """A new utterance began at `sample`."""
        self.end()
        self._item_id = item_id
        self._asked_at_sample = sample
        self._stable = []
        self._previous = []

    def end(self) -> None:
        """No more partials of this utterance."""
        if self._job_id:
            self._context.cancel(self._job_id)
        self._job_id = ""

    @property
    def stable(self) -> str:
        """The words that will not change."""
        return " ".join(self._stable)

    def open_jobs(self) -> tuple[str, ...]:
        """Return the id of the job that has not ended, if any."""
        return (self._job_id,) if self._job_id else ()

    def is_due(self, sample: int) -> bool:
        """Tell whether another one should be asked for when the microphone is at `sample`."""
        interval_ms = self._context.config.turn_taking.partial_interval_ms
        if not interval_ms or not self._context.extensions or self._job_id:
            return False
        return sample - self._asked_at_sample >= interval_ms * STT_SAMPLE_RATE_HZ // 1000

    def ask(self, pcm: bytes, sample: int, language: str | None) -> None:
        """Ask for the transcript of the utterance so far."""
        self._asked_at_sample = sample
        self._job_id = self._context.submit(
            Transcribe(final=False, language=language), payload=pcm, budget_ms=_BUDGET_MS
        )

    def owns(self, job_id: str) -> bool:
        """Tell whether a job is the one asked for last."""
        return job_id == self._job_id and bool(job_id)

    def on_result(self, body: ResultBody) -> None:
        """Take one result of the job. A failure costs one partial and is not told."""
        if isinstance(body, Done | Failed):
            self._job_id = ""
        elif isinstance(body, Transcript):
            self._take(body.text.split())

    def _take(self, words: list[str]) -> None:
        agreed = 0
        for word, before in zip(words[:-1], self._previous, strict=False):
            if _plain(word) != _plain(before):
                break
            agreed += 1
        self._stable += words[len(self._stable) : agreed]
        self._previous = words
        self._context.send(
            TranscriptPartial(
                item_id=self._item_id,
                stable=" ".join(self._stable),
                unstable=" ".join(words[len(self._stable) :]),
            )
        )


def _plain(word: str) -> str:
    return _NOT_IN_WORDS.sub("", word.lower())
