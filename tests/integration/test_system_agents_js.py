"""The stock `@openai/agents` SDK for JavaScript holds a conversation in Node."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from agents_js import WEB, needs_sdk, told_by_script
from source_tree import ROOT
from system import System
from whole_talk import STORY, judge, recordings

from bench.turns.word_timer import WordTimer

pytestmark = [
    pytest.mark.integration,
    pytest.mark.models,
    pytest.mark.timeout(120),
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    needs_sdk,
]


@pytest.mark.thorough
def test_a_spoken_conversation_with_a_call_and_an_interruption(
    embedded_system: System, word_timer: WordTimer, tmp_path: Path
) -> None:
    files = [tmp_path / "question.pcm", tmp_path / "interruption.pcm"]
    for file, pcm in zip(files, recordings(), strict=True):
        file.write_bytes(pcm)
    program = ROOT / "tests" / "support" / "agents_talk.mjs"
    ran = subprocess.run(
        ["node", program, embedded_system.realtime_url, *files, WEB, STORY],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    judge(told_by_script(json.loads(ran.stdout)), word_timer)
