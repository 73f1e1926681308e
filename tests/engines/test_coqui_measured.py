"""The measurement of Coqui's voices, tried on the processor with small checkpoints."""

import json
from pathlib import Path

import coqui_checkpoints
import pytest

from bench.gpu import __main__ as command

pytest.importorskip("TTS", reason="Coqui is not installed; run: make test-engines")

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.mark.parametrize("kind", ["vits", "xtts"])
def test_a_voice_is_measured_with_real_workers(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    flags = ["--device", "cpu", "--voices", "trained", "--set", "tts.engine=coqui"]
    model = ["--set", f"tts.model={coqui_checkpoints.shared(kind)}", "--workers", "1"]
    short = ["--seconds", "8", "--most", "2", "--most-first-audio-ms", "60000"]
    assert command.main(["voices", *flags, *model, *short, "--json", str(file)]) == 0
    [found] = json.loads(file.read_text())["voices"]
    assert found["workers"] == 1
    assert 0 < found["first_p50_ms"] <= found["first_p95_ms"]
    assert found["real_time_factor"] > 0
    assert found["memory_mib"] is None
