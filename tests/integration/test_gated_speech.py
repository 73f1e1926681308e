"""The page's gate leaves no word out: what is transcribed with it equals what is without."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from system_client import MIC_HZ, speech

pytestmark = [pytest.mark.integration, pytest.mark.models]

GATE = Path(__file__).parents[2] / "web" / "test" / "gate-wav.js"
RECORDINGS = ["go_forward", "turn_on_lamp", "would_you_please"]


def in_a_room(recording: str) -> bytes:
    """Return a recording with 4 s of a quiet room before it and 6 s after it."""
    pcm = np.frombuffer(speech(recording), "<i2").astype(np.float64)
    around = np.concatenate([np.zeros(4 * MIC_HZ), pcm, np.zeros(6 * MIC_HZ)])
    room = np.random.default_rng(5).normal(0, 12, len(around))
    return np.clip(np.rint(around + room), -32_768, 32_767).astype("<i2").tobytes()


def through_the_gate(pcm: bytes, *, gated: bool) -> tuple[bytes, dict[str, Any]]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    done = subprocess.run(
        [node, str(GATE), "gated" if gated else "open"],
        input=pcm,
        capture_output=True,
        timeout=30,
        check=True,
    )
    return done.stdout, json.loads(done.stderr.decode().splitlines()[-1])


@pytest.mark.parametrize("recording", RECORDINGS)
def test_the_words_are_the_same_with_the_gate_and_without(recording: str, ears: Any) -> None:
    room = in_a_room(recording)
    gated, saved = through_the_gate(room, gated=True)
    whole, _ = through_the_gate(room, gated=False)
    assert saved["sentSamples"] < 0.75 * saved["samples"]
    speaking = slice(2 * 3 * MIC_HZ, -2 * 4 * MIC_HZ)  # Whisper hears words in long silence
    assert ears.hear(gated[speaking], MIC_HZ) == ears.hear(whole[speaking], MIC_HZ) != ""
