"""Piper voices (VITS), streamed inside a sentence, the same samples for the same text."""

import json
import logging
import re
from collections.abc import AsyncGenerator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import piper

from antiphon_proto import models
from antiphon_proto.audio import Samples, float_to_pcm16
from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import AudioDelta, Job, Synthesize
from antiphon_workers.engine import Engine, Step
from antiphon_workers.threads import steps_in_thread
from antiphon_workers.tts import piper_stream
from antiphon_workers.tts.silence import SilenceTrimmer

CHUNK_MS = 100
LEAD_MS = 20
LONGEST_PAUSE_MS = 400
CLAUSE_PAUSE_MS = 100
SENTENCE_PAUSE_MS = 220
PIECE_CHARACTERS = 400
"""Longer stretches without a sentence end are cut at a space: attention costs the square."""

_MANIFEST_FILE = "voice.onnx"
_SENTENCE_END = re.compile(r"[.!?]\W*$")
_SAMPLE_TEXT = "The quick brown fox jumps over the lazy dog."
_SAMPLE_PEAK = 0.8
"""What the loudest sample of `_SAMPLE_TEXT` is brought to; other sentences reach 1.0 at most."""


class Piper(Engine):
    """One voice file. A multi-speaker voice takes the speaker's name as the job's `voice`."""

    stage = "tts"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._executor = ThreadPoolExecutor(self.slots, thread_name_prefix="piper")
        self._gain = 1.0

    def load(self) -> None:
        """Load the voice, check its streaming against the whole model, and measure its loudness.

        Raises StartupError when the voice or its configuration is missing or unreadable.
        """
        # Piper logs the text it speaks.
        logging.getLogger("piper").setLevel(logging.WARNING)
        path = _onnx(models.find(self.config.tts.model, self.config.models.directory))
        self._piper = _front_end(path)
        hop_samples = self._piper.config.hop_length
        [sample] = self._inputs(_SAMPLE_TEXT, speaker="", speed=1.0)
        try:
            self._voice = piper_stream.load(path, self.config.tts.threads, hop_samples, sample)
        except ValueError as exc:
            raise StartupError(
                f"{path} is not a Piper voice ({exc}); set tts.model to one"
            ) from exc
        peak = max(float(np.abs(part).max()) for part in self._voice.render(sample))
        self._gain = _SAMPLE_PEAK / max(peak, 1e-3)

    def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield the speech in chunks of `CHUNK_MS`; nothing for text without a letter or digit."""
        command = job.command
        assert isinstance(command, Synthesize)
        return steps_in_thread(self._executor, self._steps(command))

    def close(self) -> None:
        """Stop the threads."""
        self._executor.shutdown(cancel_futures=True)

    def _steps(self, command: Synthesize) -> Generator[Step, None, None]:
        rate_hz = self._piper.config.sample_rate
        chunk_bytes = 2 * CHUNK_MS * rate_hz // 1000
        waiting = b""
        for samples in self._speech(command, rate_hz):
            waiting += float_to_pcm16(samples)
            while len(waiting) >= chunk_bytes:
                yield AudioDelta(sample_rate_hz=rate_hz), waiting[:chunk_bytes]
                waiting = waiting[chunk_bytes:]
        if waiting:
            yield AudioDelta(sample_rate_hz=rate_hz), waiting

    def _speech(self, command: Synthesize, rate_hz: int) -> Iterator[Samples]:
        """Yield the trimmed speech at the gain measured at load."""
        closed = _SENTENCE_END.search(command.text) is not None
        trimmer = SilenceTrimmer(
            rate_hz,
            lead_ms=LEAD_MS,
            longest_ms=LONGEST_PAUSE_MS,
            trail_ms=SENTENCE_PAUSE_MS if closed else CLAUSE_PAUSE_MS,
        )
        for inputs in self._inputs(command.text, command.voice, command.speed):
            for part in self._voice.render(inputs):
                yield trimmer.feed(part * self._gain)
        yield trimmer.end()

    def _inputs(self, text: str, speaker: str, speed: float) -> Iterator[piper_stream.Inputs]:
        """Yield the model's inputs for each sentence of `text`."""
        settings = self._piper.config
        scales = [settings.noise_scale, settings.length_scale / speed, settings.noise_w_scale]
        for piece in speakable_pieces(text, PIECE_CHARACTERS):
            for phonemes in self._piper.phonemize(piece):
                ids = self._piper.phonemes_to_ids(phonemes)
                inputs = {
                    "input": np.array([ids], np.int64),
                    "input_lengths": np.array([len(ids)], np.int64),
                    "scales": np.array(scales, np.float32),
                }
                if settings.num_speakers > 1:
                    number = settings.speaker_id_map.get(speaker, settings.default_speaker_id)
                    inputs["sid"] = np.array([number], np.int64)
                yield inputs


def speakable_pieces(text: str, limit: int) -> Iterator[str]:
    """Yield the text in pieces of at most `limit` characters; none when nothing can be spoken."""
    # Double brackets would be read as raw phonemes; espeak takes no control characters.
    rest = re.sub(r"\[{2,}", "[", text)
    rest = re.sub(r"[\s\x00-\x1f\x7f\ud800-\udfff]+", " ", rest).strip()
    while any(character.isalnum() for character in rest):
        cut = len(rest)
        if cut > limit:
            cut = max(rest.rfind(". ", 0, limit) + 1, rest.rfind("? ", 0, limit) + 1)
            cut = cut or rest.rfind(" ", 0, limit)
            cut = cut if cut > 0 else limit
        yield rest[:cut]
        rest = rest[cut:].lstrip()


def _front_end(path: Path) -> "piper.PiperVoice":
    """Return Piper's phonemizer for a voice, without a second copy of the model."""
    config_path = path.with_name(path.name + ".json")
    try:
        settings = json.loads(config_path.read_text(encoding="utf-8"))
        return piper.PiperVoice(session=None, config=piper.PiperConfig.from_dict(settings))
    except OSError as exc:
        raise StartupError(
            f"cannot read {config_path} ({exc.strerror}); put it beside the voice"
        ) from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise StartupError(f"{config_path} is not the configuration of a Piper voice") from exc


def _onnx(path: Path) -> Path:
    """Return the voice file of a directory of the model cache, or the path itself."""
    return path / _MANIFEST_FILE if path.is_dir() else path
