"""Coqui's VITS and XTTS v2, streamed, the same samples for the same text."""

import logging
import zlib
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from TTS import api
from TTS.tts.models.vits import Vits
from TTS.tts.models.xtts import Xtts
from TTS.utils.synthesizer import Synthesizer

from antiphon_proto.audio import float_to_pcm16
from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import AudioDelta, Job, Synthesize
from antiphon_workers.engine import Engine, Step
from antiphon_workers.threads import steps_in_thread
from antiphon_workers.tts import card_memory
from antiphon_workers.tts.coqui_voices import VitsVoice, Voice, XttsVoice
from antiphon_workers.tts.pauses import LEAD_MS, LONGEST_PAUSE_MS, pause_after_ms
from antiphon_workers.tts.silence import SilenceTrimmer

_BY_NAME = "tts_models/"
_CONFIG = "config.json"
_CHECKPOINTS = ("model.pth", "model_file.pth", "best_model.pth")


class Coqui(Engine):
    """One model of a local directory, or of Coqui's hub by its name there.

    It serves one job at a time: random numbers are drawn in the order of the steps, and a job made
    again must repeat them. More at a time need more `tts.processes`.
    """

    stage = "tts"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="coqui")

    @property
    def slots(self) -> int:
        """Jobs that may run at once."""
        return 1

    def load(self) -> None:
        """Load the model and speak once.

        Raises StartupError when there is no such model, it is neither VITS nor XTTS, or it does not
        fit into `tts.gpu_memory_mib`.
        """
        # Coqui logs the text it speaks.
        logging.getLogger("TTS").setLevel(logging.WARNING)
        settings = self.config.tts
        torch.set_num_threads(settings.threads)
        if settings.gpu_memory_mib and settings.device == "cuda":
            card_memory.limit(torch.cuda, settings.gpu_memory_mib)
        try:
            synthesizer = _synthesizer(settings.model)
            model = synthesizer.tts_model.to(settings.device)
            self._voice = _voice(model, self.config)
            for _ in self._steps(Synthesize(text="Hello there.", voice="")):
                pass
        except StartupError:
            raise
        except Exception as exc:  # Coqui's errors share no base class, and many are assertions
            raise StartupError(
                f"Coqui cannot load {settings.model} on {settings.device} "
                f"({type(exc).__name__}: {exc}); set tts.model to a directory with {_CONFIG} and "
                "its checkpoint, or to a name such as tts_models/en/vctk/vits"
            ) from exc

    @property
    def languages(self) -> tuple[str, ...]:
        """Those of the model; of a model of one language that of `tts.language`."""
        return self._voice.languages or super().languages

    def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield the speech as it is made; text without a letter or digit gives nothing."""
        command = job.command
        assert isinstance(command, Synthesize)
        return steps_in_thread(self._executor, self._steps(command))

    def close(self) -> None:
        """Stop the thread."""
        self._executor.shutdown(cancel_futures=True)

    def _steps(self, command: Synthesize) -> Generator[Step, None, None]:
        if not any(map(str.isalnum, command.text)):
            return
        rate_hz = self._voice.sample_rate_hz
        torch.manual_seed(zlib.crc32(f"{command.voice}\n{command.text}".encode()))
        trimmer = SilenceTrimmer(
            rate_hz,
            lead_ms=LEAD_MS if self.config.tts.trim_lead else None,
            longest_ms=LONGEST_PAUSE_MS,
            trail_ms=pause_after_ms(command.text),
        )
        parts: list[bytes] = []
        for samples in self._voice.speak(
            command.text, command.voice, command.speed, command.language
        ):
            pcm = float_to_pcm16(trimmer.feed(samples))
            if not self.config.tts.streaming:
                parts.append(pcm)
                pcm = b""
            yield (AudioDelta(sample_rate_hz=rate_hz), pcm) if pcm else None
        parts.append(float_to_pcm16(trimmer.end()))
        if rest := b"".join(parts):
            yield AudioDelta(sample_rate_hz=rate_hz), rest


def _synthesizer(name: str) -> "Synthesizer":
    """Return a loaded model. Raises StartupError when nothing is there."""
    path = Path(name).expanduser()
    if name.startswith(_BY_NAME) and not path.exists():
        try:
            return api.TTS(model_name=name, progress_bar=False).synthesizer
        except EOFError as exc:
            raise StartupError(
                f"{name} is downloaded under the Coqui Public Model License, which allows no "
                "commercial use; if you agree, run: export COQUI_TOS_AGREED=1"
            ) from exc
        except OSError as exc:
            raise StartupError(
                f"{name} cannot be downloaded ({type(exc).__name__}); check the network, or set "
                "tts.model to a local directory"
            ) from exc
    directory = path if path.is_dir() else path.parent
    if not path.exists() or not (directory / _CONFIG).is_file():
        raise StartupError(
            f"{path} is no Coqui model, which has a {_CONFIG} beside its checkpoint; "
            "set tts.model to a directory that does"
        )
    checkpoint = path
    if path.is_dir() and not (path / "vocab.json").is_file():  # XTTS takes the whole directory
        found = [path / each for each in _CHECKPOINTS if (path / each).is_file()]
        if not found:
            raise StartupError(
                f"{path} has no checkpoint ({', '.join(_CHECKPOINTS)}); set tts.model to one"
            )
        checkpoint = found[0]
    return Synthesizer(tts_checkpoint=checkpoint, tts_config_path=directory / _CONFIG)


def _voice(model: object, config: Config) -> Voice:
    if isinstance(model, Vits):
        return VitsVoice(model, config)
    if isinstance(model, Xtts):
        return XttsVoice(model, config)
    raise StartupError(
        f"{config.tts.model} is a {type(model).__name__}; set tts.model to a VITS or XTTS model"
    )
