"""The program in README.md, run as it stands there, against a server with simulated engines."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from source_tree import ROOT

from antiphon_proto.audio import read_wav
from bench.ports import free_port

QUESTION = ROOT / "tests" / "data" / "speech" / "what_time_is_it.wav"
ASKED = "What time is it?"
REPLY = "It is time to test this. It works."
_PROGRAM = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def server() -> Iterator[str]:
    """The base address of a running server."""
    port = free_port()
    settings = [f"{stage}.engine=simulated" for stage in ("stt", "llm", "tts")]
    settings += [f"simulated.transcript={ASKED}", f"simulated.reply={REPLY}"]
    with tempfile.TemporaryDirectory(prefix="antiphon-") as directory:
        command = [sys.executable, "-m", "antiphon", "up", "--port", str(port)]
        for setting in (*settings, f"bus.runtime_dir={directory}/run"):
            command += ["--set", setting]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                said: list[str] = []
                for line in process.stdout:
                    said.append(line)
                    if line.startswith("Ready"):
                        break
                else:
                    pytest.fail(f"the server did not start: {''.join(said)}")
                yield f"http://localhost:{port}/v1"
            finally:
                process.terminate()
                process.wait(30)


@pytest.mark.integration
@pytest.mark.models
def test_the_program_in_the_readme_holds_a_conversation(server: str, tmp_path: Path) -> None:
    [program] = _PROGRAM.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    script = tmp_path / "say.py"
    script.write_text(program)
    reply = tmp_path / "reply.wav"
    result = subprocess.run(
        [sys.executable, "-W", "error", script, QUESTION, reply, server],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [f"you:   {ASKED}", f"reply: {REPLY}"]
    pcm, sample_rate_hz = read_wav(reply)
    assert sample_rate_hz == 24_000
    assert len(pcm) > 2 * sample_rate_hz
    assert any(pcm)
