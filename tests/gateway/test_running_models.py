"""What clients are told runs: what the connected workers announce."""

from typing import Any

import msgspec
import pytest

from antiphon_gateway.neighbours.model_names import ModelNames
from antiphon_gateway.running_models import RunningModels
from antiphon_proto.config import Config, load
from antiphon_proto.messages import STAGES, Stage, StageState, WorkerState

CONFIG = load(
    environment={},
    settings=["stt.model=ears", "llm.model=/models/brain.gguf", "tts.model=mouth"],
)


def worker(name: str, model: str, **changes: Any) -> WorkerState:
    return msgspec.structs.replace(
        WorkerState(
            worker_id=name, pid=1, engine="e", model=model, slots=1, outstanding=0, connected=True
        ),
        **changes,
    )


def stage(name: Stage, *workers: WorkerState) -> dict[Stage, StageState]:
    state = StageState(
        stage=name,
        ready=bool(workers),
        reason="",
        queued=0,
        oldest_wait_ms=0,
        running=0,
        slots=len(workers),
        workers=workers,
    )
    return {name: state}


def listed(running: RunningModels) -> list[str]:
    return [model["id"] for model in ModelNames(running, 0).listing()["data"]]


def test_the_configured_models_are_named_until_workers_announce_others() -> None:
    running = RunningModels(CONFIG)
    assert listed(running) == ["brain", "ears", "mouth"]
    running.look(stage("stt", worker("stt-0", "/models/other-ears/")))
    running.look(stage("llm", worker("llm-0", "/models/other.gguf")))
    assert listed(running) == ["other", "other-ears", "mouth"]
    assert running.catalogue.model == "other"
    assert running.catalogue.transcription_model == "other-ears"


def test_both_are_named_while_one_takes_the_place_of_the_other() -> None:
    running, old, new = RunningModels(CONFIG), worker("stt-0", "ears"), worker("stt-1", "new-ears")
    running.look(stage("stt", old, new))
    assert running.names("stt") == ("ears", "new-ears")
    running.look(stage("stt", worker("stt-0", "ears", slots=0), new))
    assert running.names("stt") == ("new-ears",)
    running.look(stage("stt", new))
    assert running.catalogue.transcription_model == "new-ears"


def test_a_stage_that_lost_its_workers_keeps_the_names_they_had() -> None:
    running = RunningModels(CONFIG)
    running.look(stage("stt", worker("stt-1", "new-ears")))
    running.look(stage("stt", worker("stt-1", "new-ears", connected=False)))
    running.look(stage("stt"))
    assert running.names("stt") == ("new-ears",)


def test_the_voices_are_those_of_the_worker() -> None:
    running = RunningModels(CONFIG)
    running.look(stage("tts", worker("tts-1", "choir", voices=("anna", "ben"))))
    assert running.catalogue.voices == ("anna", "ben")
    assert running.catalogue.resolve_voice("ben") == "ben"
    assert running.catalogue.resolve_voice("mouth") == "anna"
    running.look(stage("tts", worker("tts-0", "/voices/solo.onnx")))
    assert running.catalogue.voices == ("solo",)


def test_it_is_a_simulation_once_every_stage_simulates() -> None:
    running = RunningModels(Config())
    assert not running.catalogue.simulated
    for name in STAGES:
        running.look(stage(name, worker(f"{name}-0", "any", engine="simulated")))
    assert running.catalogue.simulated


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("whisper-1", "ears"),
        ("gpt-4o-transcribe", "ears"),
        ("tts-1-hd", "mouth"),
        ("gpt-4o-mini-tts", "mouth"),
        ("gpt-4o-2024-11-20", "brain"),
    ],
)
def test_openais_names_stand_for_the_model_of_their_stage(name: str, root: str) -> None:
    found = ModelNames(RunningModels(CONFIG), 0).find(name)
    assert found is not None
    assert found["root"] == root


def test_a_name_that_is_nobodys_is_not_found() -> None:
    assert ModelNames(RunningModels(CONFIG), 0).find("unheard-of") is None
