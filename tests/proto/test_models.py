"""The model manifest: complete, and clear about what is missing."""

from pathlib import Path

import pytest

from antiphon_proto import models
from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import STAGES


def test_every_default_setting_names_a_model_of_the_manifest() -> None:
    config = Config()
    used = {config.stage(stage).model for stage in STAGES}
    assert used | {"silero-vad", config.stt.turn_end_model} <= set(models.manifest())


def test_a_missing_model_names_the_command_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"run: antiphon models pull tiny\.en"):
        models.find("tiny.en", tmp_path)


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="neither a path nor in the manifest"):
        models.find("no-such-model", tmp_path)


def test_a_local_path_stands_in_for_a_name(tmp_path: Path) -> None:
    assert models.find(str(tmp_path), tmp_path) == tmp_path


def test_a_truncated_file_does_not_count_as_installed(tmp_path: Path) -> None:
    entry = models.manifest()["silero-vad"]
    (tmp_path / entry.name).mkdir()
    (tmp_path / entry.name / entry.files[0].name).write_bytes(b"short")
    assert not models.is_installed(entry, tmp_path)


def test_a_missing_path_is_called_missing(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="no such file or directory"):
        models.find(str(tmp_path / "nowhere.gguf"), tmp_path)
