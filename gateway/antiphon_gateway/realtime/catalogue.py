"""The models and voices that this server has, and what stands in for those that clients ask for."""

from collections.abc import Mapping

import msgspec

from antiphon_gateway.realtime import openai_names
from antiphon_proto.config import Config
from antiphon_proto.messages import STAGES
from antiphon_proto.stage_settings import public_name


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """Names as clients see them. Every name that a client asks for resolves to one of them."""

    model: str
    """The language model."""
    transcription_model: str
    languages: Mapping[str, tuple[str, ...]]
    """Every voice, the default first, and the ISO 639-1 codes of what it speaks; none: not told."""
    voice_aliases: Mapping[str, str] = {}
    """Names of other servers' voices to ours."""
    simulated: bool = False
    """No stage runs a model."""

    @property
    def voices(self) -> tuple[str, ...]:
        """The first is the default."""
        return tuple(self.languages)

    def resolve_voice(self, name: str) -> str:
        """Return the voice that is meant by `name`: ours, an alias, or the default."""
        if name in self.languages:
            return name
        return self.voice_aliases.get(name, self.voices[0])

    def speaks(self, voice: str, language: str) -> bool:
        """Tell whether a voice is known to speak a language, or is not known not to."""
        told = self.languages.get(voice, ())
        return not told or language in told

    def voice_of(self, language: str) -> str:
        """Return the first voice that speaks a language; empty: none does."""
        return next((voice for voice in self.voices if self.speaks(voice, language)), "")

    def spoken(self, voice: str, language: str) -> str:
        """Return what a voice speaks of whom wants a language; empty: what it can."""
        told = self.languages.get(voice, ())
        return language if language in told or not told else told[0]

    def told(self) -> str:
        """Return every voice with what it speaks, for a person to read."""
        return ", ".join(
            f"{voice} ({' '.join(codes) or 'not told'})" for voice, codes in self.languages.items()
        )


def from_config(
    config: Config, languages: Mapping[str, tuple[str, ...]] | None = None
) -> Catalogue:
    """Return the catalogue of a server; `languages` are its voices where workers told them."""
    languages = languages or dict.fromkeys(config.tts.names, ())
    return Catalogue(
        model=public_name(config.llm.model),
        transcription_model=public_name(config.stt.model),
        languages=languages,
        voice_aliases=openai_names.voice_aliases(tuple(languages)),
        simulated=all(config.stage(stage).engine == "simulated" for stage in STAGES),
    )
