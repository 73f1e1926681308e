"""Which engines exist, and how to get one without importing the others."""

import importlib
from typing import NamedTuple

from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import Stage
from antiphon_workers.engine import Engine


class Entry(NamedTuple):
    """Where an engine is, and the extra of this package that installs what it imports."""

    module: str
    class_name: str
    extra: str = ""


ENGINES: dict[tuple[Stage, str], Entry] = {
    ("stt", "faster-whisper"): Entry(
        "antiphon_workers.stt.faster_whisper_engine", "FasterWhisper", "embedded"
    ),
    ("stt", "simulated"): Entry("antiphon_workers.stt.simulated", "SimulatedStt"),
    ("llm", "llamacpp"): Entry("antiphon_workers.llm.llamacpp_engine", "LlamaCpp", "embedded"),
    ("llm", "simulated"): Entry("antiphon_workers.llm.simulated", "SimulatedLlm"),
    ("tts", "piper"): Entry("antiphon_workers.tts.piper_engine", "Piper", "embedded"),
    ("tts", "simulated"): Entry("antiphon_workers.tts.simulated", "SimulatedTts"),
}


def names(stage: Stage) -> list[str]:
    """Return the names of a stage's engines."""
    return sorted(name for known, name in ENGINES if known == stage)


def create(stage: Stage, config: Config) -> Engine:
    """Return the configured engine of a stage, not yet loaded. Imports its libraries: blocks.

    Raises StartupError when there is no such engine or a library it needs is not installed.
    """
    name = config.stage(stage).engine
    entry = ENGINES.get((stage, name))
    if entry is None:
        raise StartupError(
            f"there is no {stage} engine {name}; set {stage}.engine to one of: "
            f"{', '.join(names(stage))}"
        )
    try:
        module = importlib.import_module(entry.module)
    except ImportError as exc:
        if not entry.extra:
            raise
        raise StartupError(
            f"the {stage} engine {name} cannot be imported ({exc}); "
            f"run: pip install 'antiphon[{entry.extra}]'"
        ) from exc
    engine_class: type[Engine] = getattr(module, entry.class_name)
    engine = engine_class(config)
    if stage == "stt" and name != "simulated" and config.stt.turn_end_model:
        from antiphon_workers.stt.turn_end import WithTurnEnd

        return WithTurnEnd(config, engine)
    return engine
