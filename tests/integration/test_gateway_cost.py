"""What a session costs a gateway, measured with a real one."""

from pathlib import Path

import numpy as np
import pytest

from antiphon import gateway_cost
from antiphon_proto.audio import write_wav
from antiphon_proto.config import Config, load
from antiphon_proto.errors import StartupError

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

RATE_HZ = 16_000
SIMULATED = load(environment={}, settings=["tts.engine=simulated"])


def speech(directory: Path, peak: int) -> Path:
    hum = np.sin(np.arange(RATE_HZ * 4) * 0.1) * peak
    write_wav(directory / "speech.wav", hum.astype("<i2").tobytes(), RATE_HZ)
    return directory / "speech.wav"


@pytest.mark.thorough
def test_more_people_cost_more_processor_time(tmp_path: Path) -> None:
    told: list[str] = []
    each_ms = gateway_cost.measure(SIMULATED, speech(tmp_path, 8_000), told.append)
    assert 0.5 < each_ms < 500
    assert told == ["gateway: 2 and then 10 people at simulated engines"]


def test_where_nobody_is_heard_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_cost, "SETTLE_S", 0.5)
    monkeypatch.setattr(gateway_cost, "SECONDS", 0.5)
    with pytest.raises(StartupError, match="hardly anybody was heard"):
        gateway_cost.measure(SIMULATED, speech(tmp_path, 0), lambda _: None)


def test_the_gateway_that_is_measured_listens_as_the_configured_one() -> None:
    chosen = load(environment={}, settings=["turn_taking.warming=false"])
    made = load(environment={}, settings=gateway_cost.settings_for(chosen))
    assert made.turn_taking == chosen.turn_taking
    assert {made.stage(stage).engine for stage in ("stt", "llm", "tts")} == {"simulated"}
    assert load(environment={}, settings=gateway_cost.settings_for(SIMULATED)).turn_taking == (
        load(environment={}, settings=["turn_taking.detector=loudness"]).turn_taking
    )
    assert Config().turn_taking.detector == "silero"
