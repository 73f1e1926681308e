"""What `antiphon models use NAME` means: which stage is to run which model, with which engine."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from antiphon.placement import Value, setting_text
from antiphon_proto import llm_servers, models
from antiphon_proto.config import Config
from antiphon_proto.errors import ConfigurationError, StartupError
from antiphon_proto.messages import STAGES, Stage

SERVED_CONTEXT_TOKENS = 8_192
"""For a model of another server: those were made for it, the embedded one was not."""

_BY_SUFFIX: Mapping[str, tuple[Stage, str]] = {
    ".gguf": ("llm", "llamacpp"),
    ".onnx": ("tts", "piper"),
}
_OF_THE_GATEWAY = (
    "llm.instructions",
    "llm.max_output_tokens",
    "llm.temperature",
    "tts.first_clause_words",
    "tts.hurry",
    "tts.sentence_context",
)
"""Settings of the stages that the gateway goes by, which reads them at its start."""


class Choice(msgspec.Struct, frozen=True):
    """What a stage is to run from now on."""

    stage: Stage
    changes: Mapping[str, Value]
    """Settings of the stage, `engine` and `model` among them."""

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.changes["model"])

    @property
    def flags(self) -> list[str]:
        """The settings in the form of `--set`."""
        return [f"{self.stage}.{key}={setting_text(value)}" for key, value in self.changes.items()]

    @property
    def lines(self) -> list[str]:
        """The lines of a configuration file that keep it."""
        default = Config().stage(self.stage)
        return [f"[{self.stage}]"] + [
            f"{key} = {msgspec.json.encode(value).decode()}"
            for key, value in self.changes.items()
            if value != getattr(default, key) or key in ("engine", "model")
        ]


def chosen(
    name: str, settings: Config, asked: Sequence[str] = (), running: Config | None = None
) -> Choice:
    """Return what a name means: `ollama:MODEL`, `openai:MODEL`, a manifest name, a file, or
    `STAGE=NAME` of anything that an engine of the stage can load.

    `asked` are the `SECTION.KEY=VALUE` that `settings` were made with: those of the stage change
    too. `running` is the configuration of the running server, whose engine loads what does not tell
    its own. Raises StartupError when the model is not there, naming what fetches it, and
    ConfigurationError when a setting cannot be changed so.
    """
    stages: dict[str, Stage] = {stage: stage for stage in STAGES}
    word, separator, rest = name.partition("=")
    stage = stages.get(word) if separator else None
    if stage is not None:
        name = rest
    kind, separator, model = name.partition(":")
    if separator and kind in ("ollama", "openai") and stage in (None, "llm"):
        engine: llm_servers.Engine = "ollama" if kind == "ollama" else "openai"
        return _with_settings("llm", _served(engine, model, settings), settings, asked)
    stage, changes = _local(name, stage, settings, asked, running or settings)
    return _with_settings(stage, changes, settings, asked)


def _served(engine: llm_servers.Engine, model: str, settings: Config) -> dict[str, Value]:
    url = settings.llm.ollama_url if engine == "ollama" else settings.llm.openai_url
    server = llm_servers.ask(engine, url, settings.llm.openai_key if engine == "openai" else "")
    if server is None:
        start = "start it with: ollama serve" if engine == "ollama" else "start it"
        raise StartupError(
            f"no {engine} server answers at {url}; {start}, or add --set llm.url=URL"
        )
    if not llm_servers.has(server.models, model):
        there = ", ".join(each.name for each in server.models) or "none"
        fetch = f"run: antiphon models pull {engine}:{model}"
        mend = fetch if engine == "ollama" else "choose one of them"
        raise StartupError(f"the server at {url} has no model {model}, only: {there}; {mend}")
    context = max(settings.llm.context_tokens, SERVED_CONTEXT_TOKENS)
    return {"engine": engine, "model": model, "url": url, "context_tokens": context}


def _local(
    name: str, stage: Stage | None, settings: Config, asked: Sequence[str], running: Config
) -> tuple[Stage, dict[str, Value]]:
    entry = models.manifest().get(name)
    if entry is not None and (not entry.stage or stage not in (None, entry.stage)):
        what = f"a model for {entry.stage}" if entry.stage else "no model that a stage is run with"
        raise StartupError(f"{name} is {what}; see: antiphon models list")
    by_suffix = _BY_SUFFIX.get(Path(name).suffix)
    if entry is not None and entry.stage:
        stage, engine = entry.stage, entry.engine
    elif by_suffix is not None and stage in (None, by_suffix[0]):
        stage, engine = by_suffix
    elif stage is not None:
        engine = running.stage(stage).engine
    else:
        models.find(name, settings.models.directory)
        raise StartupError(f"say which stage is to use it, for example: stt={name}")
    engine = _asked_engine(stage, asked) or engine
    path = Path(name).expanduser()
    if engine != "simulated" and (entry is not None or path.is_absolute() or by_suffix):
        models.find(name, settings.models.directory)
    model = str(path.absolute()) if entry is None and path.exists() else name
    changes: dict[str, Value] = {"engine": engine, "model": model}
    if stage == "llm":
        changes |= {"url": "", "context_tokens": settings.llm.context_tokens}
    if stage == "tts":
        changes["voices"] = ()  # those are of the model before
    return stage, changes


def _asked_engine(stage: Stage, asked: Sequence[str]) -> str:
    values = (text.partition("=") for text in asked)
    return next((value for key, _, value in values if key.strip() == f"{stage}.engine"), "")


def _with_settings(
    stage: Stage, changes: Mapping[str, Value], settings: Config, asked: Sequence[str]
) -> Choice:
    """Return the choice with the settings of the stage that were asked for."""
    merged = dict(changes)
    for text in asked:
        name = text.partition("=")[0].strip()
        section, _, key = name.partition(".")
        if section != stage or key in ("engine", "model", "url"):
            continue
        if key == "processes":
            raise ConfigurationError(f"{name} is changed by: antiphon scale {stage}=N")
        if name in _OF_THE_GATEWAY:
            raise ConfigurationError(
                f"{name} is read by the gateway at its start; write it into the configuration "
                "file and start the server again"
            )
        merged[key] = getattr(settings.stage(stage), key)
    return Choice(stage, merged)
