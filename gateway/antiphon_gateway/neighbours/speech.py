"""`POST /v1/audio/speech`: text to speech, sent while it is made."""

import base64
import struct
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from aiohttp import web

from antiphon_gateway.clauses import ClauseSplitter, is_open
from antiphon_gateway.neighbours import speech_request
from antiphon_gateway.neighbours.bodies import read_json
from antiphon_gateway.neighbours.encoders import PLAIN, encoding, formats
from antiphon_gateway.neighbours.event_stream import EventStream
from antiphon_gateway.neighbours.jobs import JobResults, Jobs
from antiphon_gateway.neighbours.refusals import RequestRefused
from antiphon_gateway.neighbours.speech_request import AudioFormat, SpeechRequest
from antiphon_gateway.running_models import RunningModels
from antiphon_gateway.speech_text import speakable
from antiphon_proto.audio import Resampler
from antiphon_proto.messages import AudioDelta, Synthesize

SAMPLE_RATE_HZ = 24_000
"""Of `pcm` and `wav`."""
AHEAD = 2
"""Clauses in synthesis at once; none is begun for a client that does not read."""
BUDGET_MS = 60_000
_CONTENT_TYPES: dict[AudioFormat, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_UNKNOWN_LENGTH = 0xFFFFFFFF


class Speech:
    """Says texts with the server's voice."""

    def __init__(self, running: RunningModels) -> None:
        self._running = running
        self._formats = formats()

    async def answer(self, request: web.Request, jobs: Jobs) -> web.StreamResponse:
        """Answer one request."""
        body = await read_json(request)
        wanted = speech_request.parse(body, self._running.catalogue, self._formats)
        async with aclosing(spoken(jobs, wanted)) as audio:
            if wanted.format in PLAIN:
                return await _send(request, wanted, audio)
            async with encoding(audio, wanted.format) as encoded:
                return await _send(request, wanted, encoded)


async def spoken(jobs: Jobs, wanted: SpeechRequest) -> AsyncGenerator[bytes, None]:
    """Yield the speech as PCM16 at `SAMPLE_RATE_HZ`. Raises RequestRefused when it fails."""
    begun: deque[JobResults] = deque()
    for command in commands(wanted):
        begun.append(jobs.start(command, budget_ms=BUDGET_MS))
        if len(begun) == AHEAD:
            async for pcm in _resampled(begun.popleft()):
                yield pcm
    while begun:
        async for pcm in _resampled(begun.popleft()):
            yield pcm


def commands(wanted: SpeechRequest) -> Iterator[Synthesize]:
    """Yield a synthesis for each clause of a text, the first one short, each in its sentence."""
    splitter = ClauseSplitter(wanted.language or "en")
    clauses = splitter.feed(wanted.text) + splitter.finish()
    preceding = ""
    for place, clause in enumerate(clauses):
        goes_on = is_open(clause) and place + 1 < len(clauses)
        following = (
            f" {speakable(clauses[place + 1], wanted.language or 'en')}".rstrip() if goes_on else ""
        )
        if text := speakable(clause, wanted.language or "en"):
            yield Synthesize(
                text=text,
                voice=wanted.voice,
                speed=wanted.speed,
                preceding=preceding,
                following=following,
                language=wanted.language,
            )
        preceding = f"{preceding}{text} " if goes_on else ""


def wav_header() -> bytes:
    """Return the header of a WAV file whose length is not known yet."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", _UNKNOWN_LENGTH, b"WAVE", b"fmt ", 16, 1, 1),
        *(SAMPLE_RATE_HZ, 2 * SAMPLE_RATE_HZ, 2, 16, b"data", _UNKNOWN_LENGTH),
    )


async def _resampled(results: JobResults) -> AsyncGenerator[bytes, None]:
    resampler: Resampler | None = None
    async for body, pcm in results:
        if isinstance(body, AudioDelta):
            resampler = resampler or Resampler(body.sample_rate_hz, SAMPLE_RATE_HZ)
            yield resampler.feed(pcm)
    if resampler is not None and (rest := resampler.feed(b"", last=True)):
        yield rest


async def _send(
    request: web.Request, wanted: SpeechRequest, audio: AsyncGenerator[bytes, None]
) -> web.StreamResponse:
    # The first audio is awaited before the status is sent: a refusal still has one.
    first = await anext(audio, b"")
    if wanted.format == "wav":
        first = wav_header() + first
    if wanted.as_events:
        return await _send_events(request, first, audio)
    return await _send_audio(request, wanted.format, first, audio)


async def _send_audio(
    request: web.Request, wanted: AudioFormat, first: bytes, audio: AsyncGenerator[bytes, None]
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": _CONTENT_TYPES[wanted]})
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(first)
    try:
        async for pcm in audio:
            await response.write(pcm)
    except RequestRefused:
        # The status is sent: only a body without its end tells the client.
        if request.transport is not None:
            request.transport.abort()
    return response


async def _send_events(
    request: web.Request, first: bytes, audio: AsyncGenerator[bytes, None]
) -> web.StreamResponse:
    stream = await EventStream.open(request)
    await stream.send(_delta(first))
    try:
        async for pcm in audio:
            await stream.send(_delta(pcm))
    except RequestRefused as refused:
        return await stream.fail(refused)
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    await stream.send({"type": "speech.audio.done", "usage": usage})
    return stream.response


def _delta(audio: bytes) -> dict[str, str]:
    return {"type": "speech.audio.delta", "audio": base64.b64encode(audio).decode()}
