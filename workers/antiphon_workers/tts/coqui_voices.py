"""Coqui's two kinds of models, each spoken with in pieces."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from antiphon_proto.audio import Resampler, Samples, pcm16_to_float, read_wav
from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError

WINDOW_FRAMES = 24
"""Of VITS: what is decoded at a time, about a quarter of a second."""
CONTEXT_FRAMES = 16
"""Of VITS: what the decoder sees on either side of a window; it looks no farther than 12."""
CHUNK_TOKENS = 10
"""Of XTTS: tokens between two pieces of audio, about half a second."""
REFERENCE_S = 30
"""How much of a reference recording is heard."""
_REFERENCE_HZ = 22_050
_MOST_CLONES = 32
_DEFAULT_LANGUAGE = "en"


class Voice(ABC):
    """A loaded model and its speakers."""

    def __init__(
        self, model: Any, config: Config, speakers: Sequence[str], *, clones: bool
    ) -> None:
        self._model = model
        self._languages: dict[str, str] = {}
        """ISO 639-1 codes to the model's names, the default first; empty: it tells none."""
        self._speakers = list(speakers)
        self._references = _references(config.tts.cloning_dir) if clones else {}
        known = [*self._references, *self._speakers]
        preferred = [name for name in config.tts.voices if name in known]
        self._default = (preferred or self._speakers or list(self._references) or [""])[0]
        absent = [name for name in config.tts.voices if name not in known]
        if absent:
            raise StartupError(
                f"tts.voices names {absent[0]}, which {config.tts.model} does not have; "
                f"it has: {', '.join(known[:20]) or 'one voice without a name'}"
            )

    @property
    def languages(self) -> tuple[str, ...]:
        """ISO 639-1 codes of what is spoken, the default first; empty: the model does not tell."""
        return tuple(self._languages)

    @property
    @abstractmethod
    def sample_rate_hz(self) -> int:
        """Sample rate of what is spoken."""

    @abstractmethod
    def speak(self, text: str, voice: str, speed: float, language: str) -> Iterator[Samples]:
        """Yield pieces of `[samples] float32`; a language that it does not speak is the default."""

    def _choose_languages(self, config: Config, known: Sequence[str], default: str) -> None:
        """Raise StartupError when a model of these languages does not speak the one it is to."""
        first = config.tts.language or default
        if first not in known:
            raise StartupError(
                f"tts.language is {first!r}, which {config.tts.model} does not speak; "
                f"set it to one of: {', '.join(known)}"
            )
        for name in (first, *known):
            self._languages.setdefault(name.partition("-")[0], name)

    def _spoken(self, language: str) -> str:
        """Return the model's name of a language; of one that it does not speak, of the default."""
        return self._languages.get(language) or next(iter(self._languages.values()))

    def _speaker(self, voice: str) -> str:
        return voice if voice in self._references or voice in self._speakers else self._default


class VitsVoice(Voice):
    """Text to latent frames at once, which the decoder turns into sound window by window."""

    def __init__(self, model: Any, config: Config) -> None:
        manager = model.speaker_manager
        clones = manager is not None and manager.encoder is not None
        super().__init__(model, config, manager.speaker_names if manager else (), clones=clones)
        if names := list(model.language_manager.language_names):
            self._choose_languages(config, names, names[0])
        self._length_scale = model.length_scale
        self._decoder = model.waveform_decoder

    @property
    def sample_rate_hz(self) -> int:
        """Sample rate of what is spoken."""
        return int(self._model.config.audio.sample_rate)

    def speak(self, text: str, voice: str, speed: float, language: str) -> Iterator[Samples]:
        """Yield pieces of `[samples] float32`."""
        latent, condition = self._latent(text, self._speaker(voice), speed, language)
        frames = latent.shape[-1]
        for start in range(0, frames, WINDOW_FRAMES):
            end = min(start + WINDOW_FRAMES, frames)
            left, right = max(start - CONTEXT_FRAMES, 0), min(end + CONTEXT_FRAMES, frames)
            with torch.inference_mode():
                wave = self._decoder(latent[:, :, left:right], g=condition)[0, 0]
            hop = wave.shape[-1] // (right - left)
            yield _samples(wave[(start - left) * hop : (end - left) * hop])

    def _latent(self, text: str, speaker: str, speed: float, language: str) -> tuple[Any, Any]:
        model, catch = self._model, _Catch()
        model.length_scale = self._length_scale / speed
        model.waveform_decoder = catch
        reference = self._references.get(speaker)
        try:
            model.synthesize(
                text,
                speaker=None if reference else speaker or None,
                speaker_wav=str(reference) if reference else None,
                language=self._spoken(language) if self._languages else None,
            )
        finally:
            model.waveform_decoder = self._decoder
        return catch.latent, catch.condition


class _Catch(torch.nn.Module):  # type: ignore[misc]
    """Stands in for the decoder and keeps what it is given."""

    def forward(self, latent: Any, g: Any = None) -> Any:
        self.latent, self.condition = latent, g
        return latent.new_zeros(1, 1, 1)


class XttsVoice(Voice):
    """Tokens of sound one by one, decoded as they come."""

    def __init__(self, model: Any, config: Config) -> None:
        manager = model.speaker_manager
        super().__init__(model, config, manager.speaker_names if manager else (), clones=True)
        self._choose_languages(config, model.config.languages, _DEFAULT_LANGUAGE)
        if not self._default:
            raise StartupError(
                f"{config.tts.model} has no speakers (speakers_xtts.pth); put a recording of a "
                "person who agreed into a directory and set tts.cloning_dir to that"
            )
        self._clones: dict[str, tuple[Any, Any]] = {}

    @property
    def sample_rate_hz(self) -> int:
        """Sample rate of what is spoken."""
        return int(self._model.config.audio.output_sample_rate)

    def speak(self, text: str, voice: str, speed: float, language: str) -> Iterator[Samples]:
        """Yield pieces of `[samples] float32`."""
        latent, embedding = self._conditions(self._speaker(voice))
        settings = self._model.config
        pieces = self._model.inference_stream(
            text,
            self._spoken(language),
            latent,
            embedding,
            stream_chunk_size=CHUNK_TOKENS,
            speed=speed,
            temperature=settings.temperature,
            top_k=settings.top_k,
            top_p=settings.top_p,
            repetition_penalty=settings.repetition_penalty,
            length_penalty=settings.length_penalty,
        )
        try:
            for piece in pieces:
                yield _samples(piece)
        finally:
            pieces.close()

    def _conditions(self, speaker: str) -> tuple[Any, Any]:
        """Return what the model needs to know of a speaker; of a recording it is kept."""
        path = self._references.get(speaker)
        if path is None:
            known = self._model.speaker_manager.speakers[speaker]
            return known["gpt_cond_latent"], known["speaker_embedding"]
        if speaker not in self._clones:
            if len(self._clones) >= _MOST_CLONES:
                self._clones.pop(next(iter(self._clones)))
            heard = torch.from_numpy(_reference(path))[None].to(self._model.device)
            settings = self._model.config
            self._clones[speaker] = (
                self._model.get_gpt_cond_latents(
                    heard,
                    _REFERENCE_HZ,
                    length=settings.gpt_cond_len,
                    chunk_length=settings.gpt_cond_chunk_len,
                ),
                self._model.get_speaker_embedding(heard, _REFERENCE_HZ),
            )
        return self._clones[speaker]


def _references(directory: str) -> dict[str, Path]:
    """Return the recordings of voices by name. Raises StartupError when there is no directory."""
    if not directory:
        return {}
    place = Path(directory).expanduser()
    if not place.is_dir():
        raise StartupError(f"tts.cloning_dir {place} is no directory; make it, or set it to one")
    return {path.stem: path for path in sorted(place.glob("*.wav"))}


def _reference(path: Path) -> Samples:
    try:
        pcm, rate_hz = read_wav(path)
    except (OSError, ValueError) as exc:
        raise StartupError(f"{path} cannot be read ({exc}); save it as 16-bit WAV") from exc
    if rate_hz != _REFERENCE_HZ:
        pcm = Resampler(rate_hz, _REFERENCE_HZ).feed(pcm, last=True)
    return pcm16_to_float(pcm)[: REFERENCE_S * _REFERENCE_HZ]


def _samples(wave: Any) -> Samples:
    samples: Samples = wave.detach().float().cpu().numpy()
    return np.clip(samples, -1.0, 1.0)
