"""Which engines there are: ours, and those that other packages bring as entry points.

A package adds an engine by an entry point in the group `antiphon.engines.stt`, `.llm` or `.tts`:
its name is what `STAGE.engine` is set to, its object a class that derives from
`antiphon_workers.engine.Engine`. Nothing is imported here.
"""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

from antiphon_proto.messages import Stage

GROUP = "antiphon.engines"


class Entry(NamedTuple):
    """One of our engines: where it is, what it imports, and the extra that installs that."""

    module: str
    class_name: str
    extra: str = ""
    libraries: tuple[str, ...] = ()


ENGINES: dict[tuple[Stage, str], Entry] = {
    ("stt", "faster-whisper"): Entry(
        "antiphon_workers.stt.faster_whisper_engine",
        "FasterWhisper",
        "embedded",
        ("faster_whisper", "ctranslate2"),
    ),
    ("stt", "moonshine"): Entry("antiphon_workers.stt.moonshine_engine", "Moonshine"),
    ("stt", "simulated"): Entry("antiphon_workers.stt.simulated", "SimulatedStt"),
    ("llm", "llamacpp"): Entry(
        "antiphon_workers.llm.llamacpp_engine", "LlamaCpp", "embedded", ("xllamacpp", "gguf")
    ),
    ("llm", "ollama"): Entry(
        "antiphon_workers.llm.ollama_engine", "Ollama", "ollama", ("ollama", "httpx")
    ),
    ("llm", "openai"): Entry("antiphon_workers.llm.openai_engine", "OpenAiCompatible"),
    ("llm", "simulated"): Entry("antiphon_workers.llm.simulated", "SimulatedLlm"),
    ("tts", "piper"): Entry(
        "antiphon_workers.tts.piper_engine", "Piper", "embedded", ("piper", "onnx")
    ),
    ("tts", "coqui"): Entry(
        "antiphon_workers.tts.coqui_engine", "Coqui", "coqui", ("TTS", "torch")
    ),
    ("tts", "simulated"): Entry("antiphon_workers.tts.simulated", "SimulatedTts"),
}


class PlugIn(NamedTuple):
    """An engine of another package."""

    package: str
    point: EntryPoint

    @property
    def module(self) -> str:
        """What is imported for it."""
        return self.point.module


def plug_ins(stage: Stage) -> dict[str, PlugIn]:
    """Return the engines that installed packages bring, by name. Reads files.

    Ours come first: a plug-in cannot take the name of one.
    """
    return {
        point.name: PlugIn(point.dist.name if point.dist else "?", point)
        for point in entry_points(group=f"{GROUP}.{stage}")
        if (stage, point.name) not in ENGINES
    }


def names(stage: Stage) -> list[str]:
    """Return the names of a stage's engines."""
    return sorted({*_ours(stage), *plug_ins(stage)})


def _ours(stage: Stage) -> Iterator[str]:
    return (name for known, name in ENGINES if known == stage)
