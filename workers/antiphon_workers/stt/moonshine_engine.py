"""Moonshine through onnxruntime: raw samples in, no window, so its cost grows with the speech."""

import math
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from antiphon_proto import models
from antiphon_proto.audio import Samples, pcm16_to_float
from antiphon_proto.config import Config
from antiphon_proto.errors import JobFailed, StartupError
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ, Job, Transcribe, Transcript
from antiphon_workers.engine import Engine, Step, no_steps
from antiphon_workers.stt import guards
from antiphon_workers.stt.moonshine_text import pieces, read_tokens, text_of
from antiphon_workers.threads import steps_in_thread

MODEL = "moonshine-tiny-en"
LANGUAGE = "en"
SHORTEST_SAMPLES = STT_SAMPLE_RATE_HZ // 10
"""The encoder's first filters need 80 ms; less than 100 ms holds no word."""

_ENCODER, _DECODER, _TOKENS = "encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"
_PAST = "past_key_values."
_START, _END = 1, 2
_TOKENS_PER_SECOND = 6.5
"""Nobody speaks faster; without a limit the model may repeat itself for ever."""
_LEAST_TOKENS = 6


class Moonshine(Engine):
    """One English Moonshine model on the CPU. `stt.threads` are those of each job."""

    stage = "stt"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._executor = ThreadPoolExecutor(self.slots, thread_name_prefix="moonshine")

    def load(self) -> None:
        """Load encoder, decoder and tokens, and transcribe a second of silence.

        Raises StartupError when the model is not installed or is none of Moonshine's.
        """
        directory = models.find(self.config.stt.model, self.config.models.directory)
        try:
            self._encoder = self._session(directory / _ENCODER)
            self._decoder = self._session(directory / _DECODER)
            self._tokens = read_tokens((directory / _TOKENS).read_bytes())
            past = [node for node in self._decoder.get_inputs() if node.name.startswith(_PAST)]
            self._empty_past = {
                node.name: np.zeros((1, node.shape[1], 0, node.shape[3]), np.float32)
                for node in past
            }
            self._outputs = ["logits", *(_present(name) for name in self._empty_past)]
            hush = np.zeros(STT_SAMPLE_RATE_HZ, np.float32)
            for _ in self._steps(hush, Transcribe(final=True)):
                pass
        except Exception as exc:  # onnxruntime's errors share no public base class
            raise StartupError(
                f"{directory} holds no Moonshine model ({type(exc).__name__}: {exc}); "
                f"run: antiphon models pull {MODEL}, and set stt.model={MODEL}"
            ) from exc

    def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield the one transcript."""
        command = job.command
        if not isinstance(command, Transcribe):
            return no_steps()
        return steps_in_thread(self._executor, self._steps(pcm16_to_float(payload), command))

    def close(self) -> None:
        """Stop the threads."""
        self._executor.shutdown(cancel_futures=True)

    def _session(self, path: Path) -> "onnxruntime.InferenceSession":
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.config.stt.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning threads would keep a core busy between jobs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def _steps(self, audio: Samples, command: Transcribe) -> Generator[Step, None, None]:
        self._check_language(command.language)
        texts: list[str] = []
        log_probabilities: list[float] = []
        for piece in pieces(audio, STT_SAMPLE_RATE_HZ):
            if len(piece) < SHORTEST_SAMPLES:
                continue
            ids: list[int] = []
            for token, log_probability in self._decode(piece):
                log_probabilities.append(log_probability)
                if token != _END:
                    ids.append(token)
                yield None
            text = text_of(self._tokens, ids)
            if not guards.is_repetitive(text):
                texts.append(text)
        mean = float(np.mean(log_probabilities)) if log_probabilities else 0.0
        text = " ".join(text for text in texts if text)
        if mean < guards.LEAST_LOG_PROBABILITY:
            text = ""
        yield Transcript(text=text, language=LANGUAGE, average_log_probability=mean), b""

    def _decode(self, audio: Samples) -> Generator[tuple[int, float], None, None]:
        """Yield the greedy tokens, each with the logarithm of its probability."""
        mask = np.ones((1, len(audio)), np.int64)
        [heard] = self._encoder.run(
            None, {"input_values": audio[np.newaxis], "attention_mask": mask}
        )
        seconds = len(audio) / STT_SAMPLE_RATE_HZ
        most = max(_LEAST_TOKENS, math.ceil(seconds * _TOKENS_PER_SECOND))
        past: dict[str, Any] = self._empty_past
        token = _START
        for place in range(most):
            logits, *present = self._decoder.run(
                self._outputs,
                {
                    **past,
                    "input_ids": np.array([[token]], np.int64),
                    "encoder_hidden_states": heard,
                    "encoder_attention_mask": mask,
                    "use_cache_branch": np.array([place > 0]),
                },
            )
            # What was made of the encoder's side is made in the first step only.
            past = {
                name: past[name] if place and ".encoder." in name else made
                for name, made in zip(self._empty_past, present, strict=True)
            }
            scores = logits[0, -1]
            token = int(scores.argmax())
            yield token, -float(np.log(np.exp(scores - scores[token]).sum()))
            if token == _END:
                return

    def _check_language(self, asked: str | None) -> None:
        language = (asked or self.config.stt.language or LANGUAGE).split("-")[0].lower()
        if language != LANGUAGE:
            raise JobFailed(
                "unsupported_language",
                f"language is {language!r}, which the model {self.config.stt.model} does not know",
                retryable=False,
            )


def _present(past: str) -> str:
    return f"present.{past.removeprefix(_PAST)}"
