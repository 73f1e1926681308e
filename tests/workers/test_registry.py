"""Finding engines by name."""

import pytest

from antiphon_proto.config import load
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import STAGES, Stage
from antiphon_workers import registry
from antiphon_workers.registry import ENGINES, Entry, create


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_simulated_engine(stage: Stage) -> None:
    config = load(environment={}, settings=[f"{stage}.engine=simulated"])
    engine = create(stage, config)
    assert engine.stage == stage
    assert engine.slots == config.stage(stage).slots


def test_an_unknown_engine_is_answered_with_those_that_exist() -> None:
    config = load(environment={}, settings=["tts.engine=pipr"])
    with pytest.raises(StartupError, match=r"no tts engine pipr; set tts.engine to one of: .*simu"):
        create("tts", config)


def test_a_missing_library_is_answered_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ENGINES, ("tts", "absent"), Entry("no_such_library", "Absent", "embedded"))
    config = load(environment={}, settings=["tts.engine=absent"])
    with pytest.raises(StartupError, match=r"run: pip install 'antiphon\[embedded\]'"):
        registry.create("tts", config)
