"""How sentences sound that are spoken in parts: words and pitch at the joins, and clicks.

The parts are those of a reply whose listener has little audio left. The same sentences are spoken
whole, and a transcriber hears both; it also hears texts with numbers, addresses and abbreviations.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import jiwer
import numpy as np

from antiphon_gateway.effects import Submit
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.speech_pipeline import SpeechPipeline
from antiphon_gateway.speech_text import speakable
from antiphon_proto import config
from antiphon_proto.audio import Resampler, pcm16_to_float
from antiphon_proto.errors import AntiphonError
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ, AudioDelta, Job, Synthesize
from antiphon_workers.engine import Engine
from antiphon_workers.registry import create
from bench.join_texts import SENTENCES, WRITTEN
from bench.pitch import semitones_apart
from bench.statistics import normalised, percentile, word_error_rate
from bench.stt import transcribed

_STEP_MS = 10_000
"""Between two words, so that the listener has always heard all there is."""
_NEAR_WORDS = 2
"""On each side of a join."""
_QUIET = bytes(2 * STT_SAMPLE_RATE_HZ // 4)


class Spoken(NamedTuple):
    """A text as it was spoken."""

    pcm: bytes
    sample_rate_hz: int
    word_ends: list[int]
    """In samples."""
    joins: list[int]
    """Words before each join."""
    join_samples: list[int]
    """Samples before each join."""


class Heard(NamedTuple):
    """A sentence, whole and in parts, and what was heard of each."""

    text: str
    whole: Spoken
    parts: Spoken
    of_whole: str
    of_parts: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; the exit code is 0, or 2 when an engine cannot be loaded."""
    parser = argparse.ArgumentParser(description=__doc__)
    config.add_arguments(parser)
    try:
        print(asyncio.run(_measure(config.from_arguments(parser.parse_args(arguments)))))
    except AntiphonError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    return 0


async def _measure(settings: config.Config) -> str:
    voice, ears = create("tts", settings), create("stt", settings)
    for engine in (voice, ears):
        engine.load()
    heard = []
    for text in SENTENCES:
        whole, parts = await spoken(voice, [_read(text)]), await in_parts(voice, text)
        words = [await hear(ears, one) for one in (whole, parts)]
        heard.append(Heard(text, whole, parts, *words))
    written = []
    for text, reads in WRITTEN:
        said = await hear(ears, await spoken(voice, [_read(speakable(text))]))
        # The transcriber writes figures and signs again, or does not.
        forms = [(form, said) for form in (reads, text, speakable(text))]
        written.append(min(forms, key=lambda pair: word_error_rate([pair]) or 0.0))
    for engine in (voice, ears):
        engine.close()
    return "\n".join([*_of_joins(heard), "", *_of_written(written)])


async def in_parts(voice: Engine, text: str) -> Spoken:
    """Speak a text in the parts of a reply that must hurry."""
    context = SessionContext(voice.config, session_id="bench", extensions=True)
    pipeline = SpeechPipeline(context, voice="", speed=1.0, sample_rate_hz=24_000)
    commands: list[Synthesize] = []
    for step, word in enumerate([*(f"{one} " for one in text.split()), ""]):
        if word:
            pipeline.feed(word)
        else:
            pipeline.finish_text()
        for turn in range(4):
            now_ms = (4 * step + turn) * _STEP_MS
            pipeline.advance(now_ms, released=True)
            for effect in context.take_effects():
                if isinstance(effect, Submit) and isinstance(effect.request.command, Synthesize):
                    commands.append(effect.request.command)
                    pipeline.on_end(effect.request.job_id)
    return await spoken(voice, commands)


async def spoken(voice: Engine, commands: Sequence[Synthesize]) -> Spoken:
    """Return the speech of some jobs, one behind the other."""
    pcm, rate_hz, ends, joins, join_samples = b"", 0, list[int](), list[int](), list[int]()
    for command in commands:
        begun = len(pcm) // 2
        if ends:
            joins.append(len(ends))
            join_samples.append(begun)
        async for body, part in _audio(voice, command):
            pcm, rate_hz = pcm + part, body.sample_rate_hz
            ends += [begun + word.end_sample for word in body.words]
    return Spoken(pcm, rate_hz, ends, joins, join_samples)


async def hear(ears: Engine, speech: Spoken) -> str:
    """Return what a transcriber makes of speech."""
    pcm = Resampler(speech.sample_rate_hz, STT_SAMPLE_RATE_HZ).feed(speech.pcm, last=True)
    return await transcribed(ears, _QUIET + pcm + _QUIET)


async def _audio(voice: Engine, command: Synthesize) -> AsyncIterator[tuple[AudioDelta, bytes]]:
    job = Job(
        job_id="bench",
        session_id="bench",
        turn_id=1,
        revision=0,
        attempt=1,
        reply_to="bench",
        budget_ms=60_000,
        command=command,
    )
    async for step in voice.run(job, b""):
        if isinstance(step, tuple) and isinstance(step[0], AudioDelta):
            yield step[0], step[1]


def _read(text: str) -> Synthesize:
    return Synthesize(text=text, voice="", speed=1.0)


def errors_near_joins(text: str, heard: str, joins: Sequence[int]) -> tuple[int, int]:
    """Return how many of the words beside the joins were not heard, and how many there are."""
    reference = normalised(text).split()
    near = {
        place
        for join in joins
        for place in range(join - _NEAR_WORDS, join + _NEAR_WORDS)
        if 0 <= place < len(reference)
    }
    output = jiwer.process_words(" ".join(reference), normalised(heard) or "nothing")
    right = {
        place
        for piece in output.alignments[0]
        if piece.type == "equal"
        for place in range(piece.ref_start_idx, piece.ref_end_idx)
    }
    return len(near - right), len(near)


def largest_step(pcm: bytes, join_samples: Sequence[int]) -> int:
    """Return the largest difference of PCM16 between the last sample before a join and the next."""
    samples = np.frombuffer(pcm, "<i2").astype(int)
    inner = [place for place in join_samples if 0 < place < len(samples)]
    return max((abs(int(samples[place] - samples[place - 1])) for place in inner), default=0)


def _of_joins(heard: Sequence[Heard]) -> list[str]:
    joined = [one for one in heard if one.parts.joins]
    lines = [
        f"{len(joined)} of {len(heard)} sentences in parts, "
        f"{sum(len(one.parts.joins) for one in joined)} joins",
        f"{'word errors':<24}{'all':>8}{'at joins':>10}",
    ]
    for name in ("whole", "parts"):
        texts = [(one.text, getattr(one, f"of_{name}")) for one in joined]
        near = [
            errors_near_joins(text, words, one.parts.joins)
            for one, (text, words) in zip(joined, texts, strict=True)
        ]
        at_joins = sum(wrong for wrong, _ in near) / max(sum(count for _, count in near), 1)
        errors = word_error_rate(texts) or 0.0
        lines.append(f"{name:<24}{100 * errors:>6.1f} %{100 * at_joins:>8.1f} %")
    for side in ("before", "after"):
        off = sorted(_pitch_off(joined, side))
        p50, p90 = percentile(off, 50) or 0.0, percentile(off, 90) or 0.0
        lines.append(
            f"pitch {side} a join, off from the whole sentence: "
            f"p50 {p50:.1f}, p90 {p90:.1f} semitones (n = {len(off)})"
        )
    step = max((largest_step(one.parts.pcm, one.parts.join_samples) for one in joined), default=0)
    lines.append(f"largest step between two samples at a join: {step} of 32,767")
    return lines


def _pitch_off(joined: Sequence[Heard], side: str) -> list[float]:
    found = []
    for one in joined:
        for words in one.parts.joins:
            places = [
                (pcm16_to_float(speech.pcm), speech.sample_rate_hz, speech.word_ends[words - 1])
                for speech in (one.whole, one.parts)
                if len(speech.word_ends) >= words
            ]
            if len(places) == 2:
                off = semitones_apart(*places, after=side == "after")
                found += [] if off is None else [off]
    return found


def _of_written(written: Sequence[tuple[str, str]]) -> list[str]:
    errors = word_error_rate(written) or 0.0
    lines = [f"{len(written)} texts to be read: {100 * errors:.1f} % word errors"]
    lines += [
        f"  {reads}\n  {words}"
        for reads, words in written
        if normalised(reads) != normalised(words)
    ]
    return lines


if __name__ == "__main__":
    sys.exit(main())
