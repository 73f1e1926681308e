"""The models and voices that this server has, and what stands in for those that clients ask for."""

from collections.abc import Mapping

import msgspec

from antiphon_gateway.realtime import openai_names
from antiphon_proto.config import Config
from antiphon_proto.messages import STAGES


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """Names as clients see them. Every name that a client asks for resolves to one of them."""

    model: str
    """The language model."""
    transcription_model: str
    voices: tuple[str, ...]
    """The first is the default."""
    voice_aliases: Mapping[str, str] = {}
    """Names of other servers' voices to ours."""
    simulated: bool = False
    """No stage runs a model."""

    def resolve_voice(self, name: str) -> str:
        """Return the voice that is meant by `name`: ours, an alias, or the default."""
        if name in self.voices:
            return name
        return self.voice_aliases.get(name, self.voices[0])


def from_config(config: Config) -> Catalogue:
    """Return the catalogue of a server with one model a stage: its speakers, or itself, a voice."""
    voices = config.tts.voices or (_public_name(config.tts.model),)
    return Catalogue(
        model=_public_name(config.llm.model),
        transcription_model=_public_name(config.stt.model),
        voices=voices,
        voice_aliases=openai_names.voice_aliases(voices),
        simulated=all(config.stage(stage).engine == "simulated" for stage in STAGES),
    )


def _public_name(model: str) -> str:
    """Return a model's name without the directories of this machine."""
    return model.rstrip("/").rpartition("/")[2].removesuffix(".gguf").removesuffix(".onnx")
