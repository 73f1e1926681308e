"""Whisper through faster-whisper and CTranslate2."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

import ctranslate2
import faster_whisper
import numpy as np
from faster_whisper.tokenizer import Tokenizer

from antiphon_proto import models
from antiphon_proto.audio import Samples, pcm16_to_float
from antiphon_proto.config import Config
from antiphon_proto.errors import JobFailed, StartupError
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ, Job, Transcribe, Transcript
from antiphon_workers.batching import Batcher
from antiphon_workers.engine import Engine, Step, no_steps
from antiphon_workers.stt import guards
from antiphon_workers.stt.spliced_encoder import (
    FRAMES_PER_SECOND,
    MOST_FRAMES,
    Mel,
    SplicedEncoder,
)
from antiphon_workers.threads import steps_in_thread

SHORTEST_SAMPLES = STT_SAMPLE_RATE_HZ // 20
"""Less than 50 ms holds no word."""

_WINDOWS = ("spliced", "padded")
_MOST_TOKENS = 448
"""Of a prompt and the text behind it; a property of Whisper."""
_TEMPERATURES = (0.0, 0.4)
"""Of the padded window: greedy, then one sample when greedy loops."""


class _Clip(NamedTuple):
    """A clip that can be transcribed in one pass with others."""

    mel: Mel
    language: str
    start: list[int]
    """Tokens before the transcript."""
    seconds: float


class FasterWhisper(Engine):
    """One Whisper model. `stt.encoder_window` chooses what is encoded."""

    stage = "stt"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._executor = ThreadPoolExecutor(self.slots, thread_name_prefix="whisper")
        self._pass_executor = ThreadPoolExecutor(1, thread_name_prefix="whisper-pass")
        self._batcher: Batcher[_Clip, Transcript | None] = Batcher(
            self._transcripts,
            self._pass_executor,
            most=config.stt.batch,
            wait_ms=config.stt.batch_wait_ms,
        )
        self._encoder: SplicedEncoder | None = None

    def load(self) -> None:
        """Load the model, encode the silence, and transcribe a second of it.

        Raises StartupError when the model is not installed or cannot be loaded.
        """
        logging.getLogger("faster_whisper").setLevel(logging.WARNING)
        settings = self.config.stt
        if settings.encoder_window not in _WINDOWS:
            raise StartupError(
                f"stt.encoder_window is {settings.encoder_window}; set it to spliced or padded"
            )
        self._model = _load_model(self.config, self.slots)
        self._tokenizers: dict[str, Tokenizer] = {}
        try:
            self._warm()
        except RuntimeError as exc:
            raise _unusable(self.config, exc) from exc

    def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield the one transcript."""
        command = job.command
        if not isinstance(command, Transcribe):
            return no_steps()
        audio = pcm16_to_float(payload)
        if self._encoder is not None and self.config.stt.batch > 1:
            return self._batched(self._encoder, audio, command)
        return steps_in_thread(self._executor, self._steps(audio, command))

    def close(self) -> None:
        """Stop the threads."""
        self._executor.shutdown(cancel_futures=True)
        self._pass_executor.shutdown(cancel_futures=True)

    def _warm(self) -> None:
        # CTranslate2 opens cuBLAS when it first computes, not when it loads a model.
        settings = self.config.stt
        if settings.encoder_window == "spliced":
            bins = self._model.feature_extractor.mel_filters.shape[0]
            self._encoder = SplicedEncoder(self._model.model, bins, settings.silence_ms)
        hush = np.zeros(STT_SAMPLE_RATE_HZ, np.float32)
        for _ in self._steps(hush, Transcribe(final=True)):
            pass

    def _steps(self, audio: Samples, command: Transcribe) -> Generator[Step, None, None]:
        if len(audio) < SHORTEST_SAMPLES:
            yield Transcript(text=""), b""
            return
        language = self._language(command.language)
        transcript = None
        if self._encoder is not None:
            mel = self._model.feature_extractor(audio)
            if mel.shape[1] <= self._encoder.most_frames:
                states = self._encoder.encode(mel)
                yield None
                spoken = language or self._model.model.detect_language(states)[0][0][0][2:-2]
                [transcript] = self._decode(states, [self._clip(mel, spoken, command)])
                if transcript is None and not command.final:
                    # A second opinion takes longer than the next partial is away.
                    transcript = Transcript(text="", language=language or "")
                yield None
        if transcript is None:
            transcript = self._padded(audio, language, command.prompt)
        yield transcript, b""

    async def _batched(
        self, encoder: SplicedEncoder, audio: Samples, command: Transcribe
    ) -> AsyncGenerator[Step, None]:
        """Yield the transcript, made in one pass with those of other jobs where it can be.

        Clips share a pass whose prompts are equally long, which CTranslate2 asks for. What cannot
        share one is made alone: speech of an unknown language, or too long, or gone astray.
        """
        language = self._language(command.language)
        if language is not None and len(audio) >= SHORTEST_SAMPLES:
            loop = asyncio.get_running_loop()
            mel = await loop.run_in_executor(self._executor, self._model.feature_extractor, audio)
            yield None
            if mel.shape[1] <= encoder.most_frames:
                clip = self._clip(mel, language, command)
                transcript = await self._batcher.run(clip, len(clip.start))
                if transcript is not None or not command.final:
                    yield transcript or Transcript(text="", language=language), b""
                    return
        async with aclosing(steps_in_thread(self._executor, self._steps(audio, command))) as steps:
            async for step in steps:
                yield step

    def _transcripts(self, clips: Sequence[_Clip]) -> list[Transcript | None]:
        """Return the transcripts of one pass; None for a clip that went astray."""
        assert self._encoder is not None
        return self._decode(self._encoder.encode(*(clip.mel for clip in clips)), clips)

    def _clip(self, mel: Mel, language: str, command: Transcribe) -> _Clip:
        tokenizer = self._tokenizer(language)
        prompt = command.prompt.strip()
        prompt_tokens = tokenizer.encode(f" {prompt}") if prompt else []
        start = self._model.get_prompt(tokenizer, prompt_tokens, True)
        return _Clip(mel, language, start, mel.shape[1] / FRAMES_PER_SECOND)

    def _decode(
        self, states: "ctranslate2.StorageView", clips: Sequence[_Clip]
    ) -> list[Transcript | None]:
        """Return the greedy transcripts of encoder states; None where the decoder went astray."""
        most = max(guards.most_tokens(clip.seconds) for clip in clips)
        # CTranslate2 lets a transcript have half of `max_length`, and its start take from the rest.
        longest = most + max(most, *(len(clip.start) for clip in clips))
        results = self._model.model.generate(
            states,
            [clip.start for clip in clips],
            beam_size=1,
            max_length=min(longest, _MOST_TOKENS),
            return_scores=True,
            return_no_speech_prob=True,
        )
        return [self._judged(clip, result) for clip, result in zip(clips, results, strict=True)]

    def _judged(
        self, clip: _Clip, result: "ctranslate2.models.WhisperGenerationResult"
    ) -> Transcript | None:
        tokens = result.sequences_ids[0]
        # The score is the mean over the tokens; Whisper's mean counts the end of text too.
        log_probability = result.scores[0] * len(tokens) / (len(tokens) + 1)
        text = self._tokenizer(clip.language).decode(tokens).strip()
        no_speech = guards.is_no_speech(
            result.no_speech_prob, log_probability, text, guards.SPLICED_NOISE_PROBABILITY
        )
        if not no_speech and (
            guards.is_loop(text, len(tokens), clip.seconds)
            or log_probability < guards.LEAST_LOG_PROBABILITY
        ):
            return None
        return Transcript(
            text="" if no_speech else guards.words_of(text),
            language=clip.language,
            no_speech_probability=result.no_speech_prob,
            average_log_probability=log_probability,
        )

    def _padded(self, audio: Samples, language: str | None, prompt: str) -> Transcript:
        """Return the transcript of whole 30 s windows, as faster-whisper makes it."""
        found, details = self._model.transcribe(
            audio,
            language=language,
            initial_prompt=prompt or None,
            beam_size=1,
            temperature=_TEMPERATURES,
            condition_on_previous_text=False,
            # Timestamps tell where the next window may begin.
            without_timestamps=len(audio) <= MOST_FRAMES * STT_SAMPLE_RATE_HZ // 100,
        )
        segments = list(found)
        text = "".join(
            part.text
            for part in segments
            if not guards.is_no_speech(part.no_speech_prob, part.avg_logprob, part.text)
            and not guards.is_guess(part.no_speech_prob, part.avg_logprob)
        ).strip()
        return Transcript(
            text=guards.words_of(guards.without_loop(text)),
            language=details.language,
            no_speech_probability=max((part.no_speech_prob for part in segments), default=1.0),
            average_log_probability=min((part.avg_logprob for part in segments), default=0.0),
        )

    def _language(self, asked: str | None) -> str | None:
        """Return the language to write, or None to detect it. Raises JobFailed when unknown."""
        language = (asked or self.config.stt.language).split("-")[0].lower()
        known = self._model.supported_languages
        if not language:
            return "en" if known == ["en"] else None
        if language not in known:
            raise JobFailed(
                "unsupported_language",
                f"language is {language!r}, which the model {self.config.stt.model} does not know",
                retryable=False,
            )
        return language

    def _tokenizer(self, language: str) -> "Tokenizer":
        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._model.hf_tokenizer,
                self._model.model.is_multilingual,
                task="transcribe",
                language=language,
            )
        return self._tokenizers[language]


def _load_model(config: Config, slots: int) -> "faster_whisper.WhisperModel":
    settings = config.stt
    is_hub_name = settings.model not in models.manifest() and (
        "/" in settings.model or settings.model in faster_whisper.available_models()
    )
    source = settings.model
    if not is_hub_name or Path(settings.model).expanduser().exists():
        source = str(models.find(settings.model, config.models.directory))
    try:
        return faster_whisper.WhisperModel(
            source,
            device=settings.device,
            compute_type=settings.compute_type,
            cpu_threads=settings.threads,
            num_workers=slots,
        )
    except (OSError, RuntimeError, ValueError) as exc:
        raise _unusable(config, exc) from exc


def _unusable(config: Config, cause: Exception) -> StartupError:
    settings = config.stt
    remedy = "set stt.model to a name of `antiphon models list` or to a CTranslate2 directory"
    if "libcublas" in str(cause):
        remedy = (
            "run: pip install nvidia-cublas-cu12, and add the directory nvidia/cublas/lib of its "
            "site-packages to LD_LIBRARY_PATH"
        )
    return StartupError(
        f"faster-whisper cannot load {settings.model} on {settings.device} ({cause}); {remedy}"
    )
