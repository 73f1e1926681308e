"""The commands of docs/api.md, run as they stand there in an empty folder."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from source_tree import ROOT
from system import System
from system_client import word_errors

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(120)]

QUESTION = "what is the capital of france"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_of_the_page_run_as_printed(embedded_system: System, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    commands = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    assert page.count("curl -s") == len(commands)
    said = []
    for command in commands:
        assert "http://localhost:8080/" in command
        ran = subprocess.run(
            ["sh", "-ec", command.replace("localhost:8080", f"localhost:{embedded_system.port}")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        said.append(ran.stdout)
    speech, words, captions, word_events, chat, chat_events, called, models, model, secret = said
    assert speech == ""
    assert (tmp_path / "question.wav").stat().st_size > 50_000
    assert word_errors(QUESTION, json.loads(words)["text"]) <= 0.34
    assert captions.startswith("1\n00:00:00,")
    deltas = [json.loads(line[6:]) for line in word_events.splitlines() if line]
    assert deltas[-1]["type"] == "transcript.text.done"
    assert json.loads(chat)["choices"][0]["message"]["content"].strip()
    assert chat_events.endswith("data: [DONE]\n\n")
    [call] = json.loads(called)["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert set(json.loads(call["function"]["arguments"])) == {"city"}
    assert len(json.loads(models)["data"]) == 3
    assert json.loads(model)["root"] == "tiny.en"
    assert json.loads(secret)["value"].startswith("ek_")
