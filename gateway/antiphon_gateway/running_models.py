"""Which models the workers run, by what they announce: after a switch others than configured."""

from collections.abc import Mapping

import msgspec

from antiphon_gateway.degradation import Stages
from antiphon_gateway.realtime import catalogue
from antiphon_gateway.realtime.catalogue import Catalogue
from antiphon_proto.config import Config
from antiphon_proto.messages import STAGES, Stage, StageState, WorkerState


class RunningModels:
    """The models by stage. A stage without a worker keeps those it had, at first the configured."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._names: dict[Stage, tuple[str, ...]] = {
            stage: (_configured_name(config, stage),) for stage in STAGES
        }
        self.catalogue: Catalogue = catalogue.from_config(config)
        """Names as clients see them; of several models of a stage that of the first worker, but the
        voices of all."""
        self._languages: dict[str, tuple[str, ...]] = {}

    def names(self, stage: Stage) -> tuple[str, ...]:
        """Return the names of all models that serve a stage: several while one takes the place of
        another."""
        return self._names[stage]

    def look(self, stages: Mapping[Stage, StageState]) -> None:
        """Take over what the workers announce."""
        for stage, state in stages.items():
            if workers := _in_use(state):
                configs = [_with(self._config, stage, worker) for worker in workers]
                names = (_configured_name(config, stage) for config in configs)
                self._names[stage] = tuple(dict.fromkeys(names))
                self._config = configs[0]
                if stage == "tts":
                    self._languages = _languages(configs, workers)
        self.catalogue = catalogue.from_config(self._config, self._languages)

    async def watch(self, stages: Stages) -> None:
        """Take over each change, until cancelled."""
        while True:
            await stages.wait_for_change()
            self.look(stages.stages())


def _in_use(state: StageState) -> list[WorkerState]:
    """Return the workers that take jobs, by number; if none does, those that are connected."""
    connected = [worker for worker in state.workers if worker.connected]
    serving = [worker for worker in connected if worker.slots] or connected
    return sorted(serving, key=lambda worker: (len(worker.worker_id), worker.worker_id))


def _languages(configs: list[Config], workers: list[WorkerState]) -> dict[str, tuple[str, ...]]:
    """Return the voices of workers with these configurations, and what each speaks."""
    found: dict[str, tuple[str, ...]] = {}
    for config, worker in zip(configs, workers, strict=True):
        for voice in config.tts.names:
            found.setdefault(voice, worker.languages)
    return found


def _with(config: Config, stage: Stage, worker: WorkerState) -> Config:
    """Return the configuration as if it asked for what a worker runs."""
    changes = {"engine": worker.engine, "model": worker.model}
    section = msgspec.structs.replace(config.stage(stage), **changes)
    if stage == "tts":
        section = msgspec.structs.replace(section, voices=worker.voices)
    return msgspec.structs.replace(config, **{stage: section})


def _configured_name(config: Config, stage: Stage) -> str:
    named = catalogue.from_config(config)
    return {"stt": named.transcription_model, "llm": named.model, "tts": named.voices[0]}[stage]
