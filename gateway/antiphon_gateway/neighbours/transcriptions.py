"""`POST /v1/audio/transcriptions`: a file, cut at its silences, to words."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from aiohttp import web

from antiphon_gateway.decoders import Decoders
from antiphon_gateway.neighbours import audio_files, transcript_formats, transcription_request
from antiphon_gateway.neighbours.bodies import Memory
from antiphon_gateway.neighbours.event_stream import EventStream
from antiphon_gateway.neighbours.jobs import Jobs
from antiphon_gateway.neighbours.refusals import RequestRefused
from antiphon_gateway.neighbours.speech_segments import SpeechSegments, Stretch
from antiphon_gateway.neighbours.transcript_formats import Segment, whole_text
from antiphon_gateway.neighbours.transcription_request import TranscriptionRequest
from antiphon_gateway.vad import WINDOW_SAMPLES, Vad
from antiphon_proto.config import Stt
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ, Transcribe, Transcript

BUDGET_MS = 60_000
_BLOCK_BYTES = 2 * WINDOW_SAMPLES * 625
"""Audio that waits for the voice activity detector at once: 20 s."""
_SECOND_BYTES = 2 * STT_SAMPLE_RATE_HZ


class Transcriptions:
    """Transcribes files, one stretch of speech at a time, so that conversations find room."""

    def __init__(self, settings: Stt, vad: Vad, decoders: Decoders) -> None:
        self._settings = settings
        self._vad = vad
        self._decoders = decoders
        self._memory = Memory()

    async def answer(self, request: web.Request, jobs: Jobs) -> web.StreamResponse:
        """Answer one request."""
        with self._memory.share() as share:
            wanted = await transcription_request.read(request, share)
            pcm = await audio_files.decode(wanted.file, self._decoders, share)
            async with aclosing(self._segments(pcm, wanted, jobs)) as segments:
                if wanted.stream and wanted.format in ("json", "text"):
                    return await _stream(request, segments)
                found = [segment async for segment in segments]
            seconds = len(pcm) / _SECOND_BYTES
            language = wanted.language or self._settings.language
            return _response(wanted.format, found, seconds, language)

    async def _segments(
        self, pcm: bytes, wanted: TranscriptionRequest, jobs: Jobs
    ) -> AsyncGenerator[Segment, None]:
        """Yield what was said, stretch by stretch. Raises RequestRefused when a job failed."""
        async with aclosing(self._stretches(pcm)) as stretches:
            async for stretch in stretches:
                command = Transcribe(final=True, language=wanted.language, prompt=wanted.prompt)
                audio = pcm[2 * stretch.start : 2 * stretch.end]
                async for body, _ in jobs.start(command, payload=audio, budget_ms=BUDGET_MS):
                    if isinstance(body, Transcript):
                        yield Segment(stretch, body)

    async def _stretches(self, pcm: bytes) -> AsyncGenerator[Stretch, None]:
        heard: list[float] = []
        segments = SpeechSegments()
        stream = self._vad.open(heard.extend)
        try:
            for at in range(0, len(pcm), _BLOCK_BYTES):
                block = pcm[at : at + _BLOCK_BYTES]
                stream.feed(block + bytes(-len(block) % (2 * WINDOW_SAMPLES)))
                await stream.drained()
                for stretch in segments.feed(heard):
                    yield stretch
                heard.clear()
            for stretch in segments.finish():
                yield stretch
        finally:
            stream.close()


async def _stream(
    request: web.Request, segments: AsyncGenerator[Segment, None]
) -> web.StreamResponse:
    # The first words are awaited before the status is sent: a refusal still has one.
    segment = await _next_words(segments)
    found: list[Segment] = []
    stream = await EventStream.open(request)
    try:
        while segment is not None:
            await stream.send(_delta(f" {segment.text}" if found else segment.text))
            found.append(segment)
            segment = await _next_words(segments)
    except RequestRefused as refused:
        return await stream.fail(refused)
    await stream.send({"type": "transcript.text.done", "text": whole_text(found)})
    return stream.response


async def _next_words(segments: AsyncGenerator[Segment, None]) -> Segment | None:
    async for segment in segments:
        if segment.text:
            return segment
    return None


def _delta(text: str) -> dict[str, Any]:
    return {"type": "transcript.text.delta", "delta": text}


def _response(
    wanted: str, segments: list[Segment], seconds: float, language: str
) -> web.StreamResponse:
    if wanted == "verbose_json":
        return web.json_response(transcript_formats.verbose(segments, seconds, language))
    if wanted == "srt":
        return web.Response(text=transcript_formats.srt(segments))
    if wanted == "vtt":
        return web.Response(text=transcript_formats.vtt(segments), content_type="text/vtt")
    text = whole_text(segments)
    if wanted == "text":
        return web.Response(text=f"{text}\n")
    return web.json_response({"text": text, "usage": transcript_formats.usage(seconds)})
