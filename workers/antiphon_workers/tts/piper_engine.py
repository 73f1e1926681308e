"""Piper voices (VITS), streamed inside a sentence, the same samples for the same text."""

import logging
from collections.abc import AsyncGenerator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path

import numpy as np

from antiphon_proto import models
from antiphon_proto.audio import Samples, float_to_pcm16
from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import AudioDelta, Job, Synthesize
from antiphon_workers.engine import Engine, Step
from antiphon_workers.step_order import StepOrder
from antiphon_workers.threads import steps_in_thread
from antiphon_workers.tts import piper_stream
from antiphon_workers.tts.listener_order import in_order
from antiphon_workers.tts.pauses import LEAD_MS, LONGEST_PAUSE_MS, pause_after_ms
from antiphon_workers.tts.piper_text import PiperText, SentenceWord
from antiphon_workers.tts.silence import Edges, SilenceTrimmer
from antiphon_workers.tts.word_times import PlacedWord, WordTimes

FIRST_CHUNK_MS = 40
"""As soon as so much is there, all that is there is sent."""
CHUNK_MS = 100

_STEPS_AT_ONCE = 4
"""Beside the other models a voice that makes one step at a time gets too little of busy cores: the
threads of a step wait for the one that the system runs last."""

_LEAD_FRAMES = 3
"""Rendered before the first phoneme; speech was heard at most 2 frames before it."""
_MANIFEST_FILE = "voice.onnx"
_SAMPLE_TEXT = "The quick brown fox jumps over the lazy dog."
_SAMPLE_PEAK = 0.8
"""What the loudest sample of `_SAMPLE_TEXT` is brought to; other sentences reach 1.0 at most."""


class Piper(Engine):
    """One voice file. A multi-speaker voice takes the speaker's name as the job's `voice`."""

    stage = "tts"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._executor = ThreadPoolExecutor(_STEPS_AT_ONCE, thread_name_prefix="piper")
        self._order = StepOrder(_STEPS_AT_ONCE)
        self._gain = 1.0

    @property
    def languages(self) -> tuple[str, ...]:
        """The one of the voice."""
        return self._text.languages or super().languages

    def load(self) -> None:
        """Load the voice, check its streaming against the whole model, and measure its loudness.

        Raises StartupError when the voice or its configuration is missing or unreadable.
        """
        # Piper logs the text it speaks.
        logging.getLogger("piper").setLevel(logging.WARNING)
        path = _onnx(models.find(self.config.tts.model, self.config.models.directory))
        self._text = PiperText(path)
        [sample] = self._text.sentences(_SAMPLE_TEXT)
        try:
            self._voice = piper_stream.load(
                path, self.config.tts.threads, self._text.hop_samples, sample.inputs
            )
        except ValueError as exc:
            raise StartupError(
                f"{path} is not a Piper voice ({exc}); set tts.model to one"
            ) from exc
        rendering = self._voice.render(sample.inputs)
        self._places_words = bool(sample.words and rendering.durations_frames)
        peak = max(float(np.abs(part).max()) for part in rendering.parts(0, None))
        self._gain = _SAMPLE_PEAK / max(peak, 1e-3)

    def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield the speech, its beginning at once, then in chunks of `CHUNK_MS`.

        Text without a letter or digit gives nothing.
        """
        command = job.command
        assert isinstance(command, Synthesize)
        speech = steps_in_thread(self._executor, self._steps(command))
        return in_order(self._order, speech, job.patience_ms)

    def close(self) -> None:
        """Stop the threads."""
        self._executor.shutdown(cancel_futures=True)

    def _steps(self, command: Synthesize) -> Generator[Step, None, None]:
        rate_hz = self._text.sample_rate_hz
        first_bytes, chunk_bytes = (2 * ms * rate_hz // 1000 for ms in (FIRST_CHUNK_MS, CHUNK_MS))
        trimmer = SilenceTrimmer(
            rate_hz,
            lead_ms=LEAD_MS if self.config.tts.trim_lead else None,
            longest_ms=LONGEST_PAUSE_MS,
            trail_ms=pause_after_ms(command.text),
        )
        times = WordTimes(trimmer.place)
        waiting, sent_bytes = b"", 0

        def taken(length: int) -> Step:
            nonlocal waiting, sent_bytes
            chunk, waiting = waiting[:length], waiting[length:]
            sent_bytes += len(chunk)
            return AudioDelta(sample_rate_hz=rate_hz, words=times.take(sent_bytes // 2)), chunk

        speech = self._speech(command, trimmer, times)
        if not self.config.tts.streaming:
            speech = iter(list(speech))
        for samples in speech:
            waiting += float_to_pcm16(samples)
            if not sent_bytes and len(waiting) >= first_bytes:
                yield taken(len(waiting))
            while sent_bytes and len(waiting) >= chunk_bytes:
                yield taken(chunk_bytes)
        if waiting:
            yield taken(len(waiting))

    def _speech(
        self, command: Synthesize, trimmer: SilenceTrimmer, times: WordTimes
    ) -> Iterator[Samples]:
        """Yield the trimmed speech at the gain measured at load; tell `times` its words."""
        # Without word times what precedes and follows could not be left out again.
        context = (
            {"preceding": command.preceding, "following": command.following}
            if self._places_words
            else {}
        )
        rendered = 0
        for sentence in self._text.sentences(command.text, command.voice, command.speed, **context):
            rendering = self._voice.render(sentence.inputs)
            frames = list(accumulate(rendering.durations_frames, initial=0))
            first = 0 if sentence.first is None else frames[sentence.first]
            if not rendered and not first and sentence.words and len(frames) > 1:
                # Some sentences begin with several hundred milliseconds of silence.
                first = max(frames[sentence.words[0].first] - _LEAD_FRAMES, 0)
            end = None if sentence.end is None else frames[sentence.end]
            times.add(
                self._placed(sentence.words, frames, rendered - first * self._text.hop_samples)
            )
            edges = Edges(
                self._text.sample_rate_hz,
                fade_in=sentence.first is not None,
                end_sample=None if end is None else (end - first) * self._text.hop_samples,
            )
            for part in rendering.parts(first, end):
                rendered += len(part)
                yield trimmer.feed(edges.fade(part) * self._gain)
        yield trimmer.end()

    def _placed(
        self, words: list[SentenceWord], frames: list[int], offset: int
    ) -> list[PlacedWord]:
        """Return where the words of a sentence are whose frame 0 would be at sample `offset`."""
        if len(frames) == 1:
            return []
        hop = self._text.hop_samples
        return [
            PlacedWord(
                word.end_character,
                offset + frames[word.first] * hop,
                offset + frames[word.end] * hop,
            )
            for word in words
        ]


def _onnx(path: Path) -> Path:
    """Return the voice file of a directory of the model cache, or the path itself."""
    return path / _MANIFEST_FILE if path.is_dir() else path
