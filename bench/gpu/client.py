"""Jobs for a dispatcher's workers, and how long each takes."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncGenerator
from typing import NamedTuple

from antiphon_gateway.dispatch.embedded import EmbeddedDispatcher
from antiphon_gateway.dispatch.request import Request
from antiphon_proto.errors import JobFailed
from antiphon_proto.messages import (
    AudioDelta,
    Command,
    Done,
    Failed,
    Result,
    Synthesize,
    Transcribe,
    Transcript,
)

BUDGET_MS = 300_000
"""A large voice on a processor needs minutes for a sentence."""


class Spoken(NamedTuple):
    """What came of one text."""

    first_ms: float
    """To its first audio."""
    took_ms: float
    audio_ms: float
    late_ms: float
    """The longest that a listener who plays it as it comes waits for more."""


class Client:
    """Gives jobs to a dispatcher and counts from when each was due."""

    def __init__(self, dispatcher: EmbeddedDispatcher) -> None:
        self._dispatcher = dispatcher
        self._numbers = itertools.count()

    async def transcript(
        self, pcm: bytes, *, final: bool = True, due_s: float | None = None, session: int = 0
    ) -> tuple[str, float]:
        """Return a transcript, and how long after it was due it came, in milliseconds.

        `due_s`: of `time.perf_counter`; now unless it is told. Raises JobFailed.
        """
        begun_s = time.perf_counter() if due_s is None else due_s
        text = ""
        results = self._results(Transcribe(final=final), pcm, session, urgent=final)
        async with contextlib.aclosing(results):
            async for result, _ in results:
                if isinstance(result.body, Transcript):
                    text = result.body.text
        return text, (time.perf_counter() - begun_s) * 1000

    async def speech(
        self, command: Synthesize, *, most_ms: float, due_s: float | None = None, session: int = 0
    ) -> Spoken:
        """Have a text spoken, and stop when there is so much audio of it.

        Raises JobFailed, also when there is none.
        """
        begun_s = time.perf_counter() if due_s is None else due_s
        first_ms = took_ms = audio_ms = late_ms = 0.0
        results = self._results(command, b"", session, urgent=True)
        async with contextlib.aclosing(results):
            async for result, pcm in results:
                if not isinstance(result.body, AudioDelta):
                    continue
                took_ms = (time.perf_counter() - begun_s) * 1000
                first_ms = first_ms or took_ms
                late_ms = max(late_ms, took_ms - first_ms - audio_ms)
                audio_ms += len(pcm) / 2 / result.body.sample_rate_hz * 1000
                if audio_ms >= most_ms:
                    break
        if not audio_ms:
            raise JobFailed("no_audio", f"nothing was spoken of {command.text!r}", retryable=False)
        return Spoken(first_ms, took_ms, audio_ms, late_ms)

    async def _results(
        self, command: Command, payload: bytes, session: int, *, urgent: bool
    ) -> AsyncGenerator[tuple[Result, bytes], None]:
        """Yield the steps of a job, which is cancelled when nobody wants more of it."""
        steps: asyncio.Queue[tuple[Result, bytes]] = asyncio.Queue()
        job_id = f"job-{next(self._numbers)}"
        request = Request(
            job_id=job_id,
            session_id=f"session-{session}",
            turn_id=1,
            revision=0,
            command=command,
            payload=payload,
            budget_ms=BUDGET_MS,
            urgent=urgent,
        )
        self._dispatcher.submit(request, lambda *step: steps.put_nowait(step))
        try:
            while True:
                result, pcm = await steps.get()
                if isinstance(result.body, Failed):
                    raise JobFailed(result.body.code, result.body.message, retryable=False)
                if isinstance(result.body, Done):
                    return
                yield result, pcm
        finally:
            self._dispatcher.cancel([job_id])
