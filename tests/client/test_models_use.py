"""What the names given to `antiphon models use` mean, and which settings may change with them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from antiphon.models_use import Choice, chosen
from antiphon_proto.config import load
from antiphon_proto.errors import ConfigurationError, StartupError
from antiphon_proto.models import manifest


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A model cache with empty files of the right sizes."""
    for entry in manifest().values():
        (tmp_path / entry.name).mkdir()
        for file in entry.files:
            with (tmp_path / entry.name / file.name).open("wb") as stream:
                stream.truncate(file.bytes)
    return tmp_path


def use(cache: Path, name: str, *asked: str, running: Sequence[str] = ()) -> Choice:
    settings = load(environment={}, settings=[f"models.cache_dir={cache}", *asked])
    return chosen(name, settings, asked, load(environment={}, settings=running))


@pytest.mark.parametrize(
    ("name", "stage", "engine"),
    [
        ("tiny.en", "stt", "faster-whisper"),
        ("moonshine-tiny-en", "stt", "moonshine"),
        ("smollm2-135m", "llm", "llamacpp"),
        ("en_US-joe-medium", "tts", "piper"),
        ("stt=tiny.en", "stt", "faster-whisper"),
    ],
)
def test_a_model_of_the_list_tells_its_stage_and_its_engine(
    cache: Path, name: str, stage: str, engine: str
) -> None:
    choice = use(cache, name, running=["stt.engine=moonshine", "tts.engine=coqui"])
    assert (choice.stage, choice.changes["engine"]) == (stage, engine)
    assert choice.model == name.rpartition("=")[2]


def test_files_tell_by_their_endings(cache: Path) -> None:
    for name, stage, engine in (("a.gguf", "llm", "llamacpp"), ("a.onnx", "tts", "piper")):
        (cache / name).touch()
        choice = use(cache, str(cache / name))
        assert (choice.stage, choice.changes["engine"]) == (stage, engine)
        assert choice.model == str(cache / name)


def test_what_tells_nothing_is_loaded_by_the_engine_that_runs(cache: Path) -> None:
    choice = use(cache, f"tts={cache}", running=["tts.engine=coqui"])
    assert choice.flags[:2] == ["tts.engine=coqui", f"tts.model={cache}"]
    choice = use(cache, "tts=tts_models/en/vctk/vits", "tts.engine=coqui")
    assert choice.flags[:2] == ["tts.engine=coqui", "tts.model=tts_models/en/vctk/vits"]


def test_voices_of_the_model_before_are_forgotten(cache: Path) -> None:
    assert use(cache, "en_US-joe-medium").changes["voices"] == ()
    choice = use(cache, "tts=choir", "tts.voices=anna,ben", "tts.engine=coqui")
    assert choice.changes["voices"] == ("anna", "ben")
    assert 'voices = ["anna","ben"]' in choice.lines


def test_settings_of_the_stage_change_too_and_are_told(cache: Path) -> None:
    choice = use(cache, "tiny.en", "stt.slots=7", "gateway.port=1")
    assert "stt.slots=7" in choice.flags
    assert choice.lines == ["[stt]", 'engine = "faster-whisper"', 'model = "tiny.en"', "slots = 7"]


@pytest.mark.parametrize(
    ("name", "asked", "reason"),
    [
        ("stt=x", "stt.processes=2", "antiphon scale stt=N"),
        ("en_US-joe-medium", "tts.hurry=false", "read by the gateway at its start"),
        ("silero-vad", "", "no model that a stage is run with"),
        ("tts=tiny.en", "", "tiny.en is a model for stt"),
        ("no-such-model", "", "antiphon models list"),
        ("/no/such/voice.onnx", "", "there is no such file"),
        ("stt=/no/such/directory", "", "there is no such file"),
        (".", "", "say which stage is to use it, for example: stt=."),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_remedy(
    cache: Path, name: str, asked: str, reason: str
) -> None:
    with pytest.raises((ConfigurationError, StartupError)) as refused:
        use(cache, name, *([asked] if asked else []))
    assert reason in str(refused.value)


def test_a_model_that_is_not_installed_names_the_command_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="antiphon models pull moonshine-tiny-en"):
        use(tmp_path, "moonshine-tiny-en")


def test_every_model_of_the_manifest_for_a_stage_names_an_engine_that_there_is() -> None:
    named = {(entry.stage, entry.engine) for entry in manifest().values() if entry.stage}
    assert named == {
        ("stt", "faster-whisper"),
        ("stt", "moonshine"),
        ("llm", "llamacpp"),
        ("tts", "piper"),
    }
