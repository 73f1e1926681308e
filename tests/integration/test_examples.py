"""The programs of `examples/`, copied into an empty folder and run against the embedded server."""

import shutil
import subprocess
import sys
import wave
from pathlib import Path

import pytest
import stranger
from source_tree import ROOT
from system import System
from system_client import SPEECH, word_errors
from system_ears import Ears

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(120)]

QUESTION = "should i get a dog or a cat"
ADDRESS = {
    "antiphon_client.py": "ws://localhost:{}",
    "openai_realtime.py": "http://localhost:{}/v1",
    "openai_requests.py": "http://localhost:{}/v1",
    "openai_agents.py": "ws://localhost:{}/v1/realtime",
}
"""Where each program expects the server."""


def run(program: str, system: System, folder: Path) -> str:
    """Run a program with a question; return what it printed."""
    source = (ROOT / "examples" / program).read_text(encoding="utf-8")
    assert ADDRESS[program].format(8080) in source
    (folder / program).write_text(source.replace("localhost:8080", f"localhost:{system.port}"))
    shutil.copy(SPEECH / "dog_or_cat.wav", folder / "question.wav")
    ran = subprocess.run(
        [sys.executable, program, "question.wav", "reply.wav"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("program", ["antiphon_client.py", "openai_requests.py"])
def test_an_example_is_understood_and_answers(
    program: str, embedded_system: System, tmp_path: Path, ears: Ears
) -> None:
    # A reply may be of several lines.
    lines = run(program, embedded_system, tmp_path).splitlines()
    printed = dict(line.split(":", 1) for line in lines if line.startswith(("you:", "reply:")))
    assert word_errors(QUESTION, printed["you"]) <= 0.25
    assert printed["reply"].strip()
    assert ears.hear_file(tmp_path / "reply.wav").strip()


def test_the_example_for_openai_agents_answers(embedded_system: System, tmp_path: Path) -> None:
    assert "ms of audio" in run("openai_agents.py", embedded_system, tmp_path)
    with wave.open(str(tmp_path / "reply.wav")) as reply:
        assert reply.getnframes() > 12_000


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_the_example_in_javascript_answers_with_what_its_line_installs(
    embedded_system: System, tmp_path: Path, ears: Ears
) -> None:
    (example,) = (one for one in stranger.examples() if one.program == "openai_agents.mjs")
    assert "ms of audio" in stranger.try_example(example, tmp_path, embedded_system.port)
    assert ears.hear_file(tmp_path / "reply.wav").strip()


def test_the_example_of_the_readme_is_the_same_program() -> None:
    program = (ROOT / "examples" / "openai_realtime.py").read_text(encoding="utf-8")
    assert f"```python\n{program}```" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_example_is_listed_with_what_it_needs() -> None:
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    names = {path.name for path in (ROOT / "examples").iterdir()} - {"README.md", "__pycache__"}
    assert {name for name in names if f"`{name}`" not in page and f"`{name}/`" not in page} == set()
    assert {one.program for one in stranger.examples()} == {name for name in names if "." in name}
