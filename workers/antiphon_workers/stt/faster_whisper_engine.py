"""Whisper through faster-whisper and CTranslate2."""

import logging
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ctranslate2
import faster_whisper
import numpy as np
from faster_whisper.tokenizer import Tokenizer

from antiphon_proto import models
from antiphon_proto.audio import Samples, pcm16_to_float
from antiphon_proto.config import Config
from antiphon_proto.errors import JobFailed, StartupError
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ, Job, Transcribe, Transcript
from antiphon_workers.engine import Engine, Step, no_steps
from antiphon_workers.stt import guards
from antiphon_workers.stt.spliced_encoder import MOST_FRAMES, SplicedEncoder
from antiphon_workers.threads import steps_in_thread

SHORTEST_SAMPLES = STT_SAMPLE_RATE_HZ // 20
"""Less than 50 ms holds no word."""

_WINDOWS = ("spliced", "padded")
_MOST_TOKENS = 448
"""Of a prompt and the text behind it; a property of Whisper."""
_TEMPERATURES = (0.0, 0.4)
"""Of the padded window: greedy, then one sample when greedy loops."""


class FasterWhisper(Engine):
    """One Whisper model. `stt.encoder_window` chooses what is encoded."""

    stage = "stt"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._executor = ThreadPoolExecutor(self.slots, thread_name_prefix="whisper")
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
        return steps_in_thread(self._executor, self._steps(pcm16_to_float(payload), command))

    def close(self) -> None:
        """Stop the threads."""
        self._executor.shutdown(cancel_futures=True)

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
                seconds = len(audio) / STT_SAMPLE_RATE_HZ
                transcript = self._decode(states, language, command.prompt, seconds)
                if transcript is None and not command.final:
                    # A second opinion takes longer than the next partial is away.
                    transcript = Transcript(text="", language=language or "")
                yield None
        if transcript is None:
            transcript = self._padded(audio, language, command.prompt)
        yield transcript, b""

    def _decode(
        self,
        states: "ctranslate2.StorageView",
        language: str | None,
        prompt: str,
        seconds: float,
    ) -> Transcript | None:
        """Return the greedy transcript of encoder states; None when the decoder went astray."""
        if language is None:
            language = self._model.model.detect_language(states)[0][0][0][2:-2]
        tokenizer = self._tokenizer(language)
        start = self._model.get_prompt(
            tokenizer, tokenizer.encode(f" {prompt.strip()}") if prompt.strip() else [], True
        )
        [result] = self._model.model.generate(
            states,
            [start],
            beam_size=1,
            max_length=min(len(start) + guards.most_tokens(seconds), _MOST_TOKENS),
            return_scores=True,
            return_no_speech_prob=True,
        )
        tokens = result.sequences_ids[0]
        # The score is the mean over the tokens; Whisper's mean counts the end of text too.
        log_probability = result.scores[0] * len(tokens) / (len(tokens) + 1)
        text = tokenizer.decode(tokens).strip()
        no_speech = guards.is_no_speech(result.no_speech_prob, log_probability)
        if not no_speech and (
            guards.is_loop(text, len(tokens), seconds)
            or log_probability < guards.LEAST_LOG_PROBABILITY
        ):
            return None
        return Transcript(
            text="" if no_speech else text,
            language=language,
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
        text = "".join(segment.text for segment in segments).strip()
        return Transcript(
            text=text,
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
